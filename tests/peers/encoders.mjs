// What JavaScript encoders do to values on their way to a worker and back. hosts.py runs it beside a copy of host.mjs.
import assert from "node:assert/strict";
import { Worker } from "./host.mjs";

const worker = await Worker.start(...process.argv.slice(2));
const echo = async (value, more) => (await worker.execute("test.Echo", { value }, more)).outputs.output;
const number = async (value) => Number(await echo(value));

// Integers of every size come back as the same number, and so do those that only fit a double or a BigInt.
for (const value of [0, 1, -1, 127, 128, -33, 255, 65536, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53, -(2 ** 53), 0.1, -1e300]) {
  assert.equal(await number(value), value);
}
assert.equal((await worker.execute("test.Add", { a: 3, b: 4.0 })).outputs.output, 7);
// What has no value in MessagePack counts as none, wherever it stands.
assert.equal((await worker.execute("test.Add", { a: undefined, b: null, c: undefined })).outputs.output, 0);
assert.deepEqual(await echo([undefined, null, 1]), [null, null, 1]);
assert.equal(await echo(new Date(0)), null);
// A count that comes as a double is a count.
let chunks = 0;
for await (const _ of worker.stream("test.Stream", { n: Number("3.0") })) chunks += 1;
assert.equal(chunks, 3);
// Maps and lists above the sizes of the small headers, texts, bytes. (msgpackr writes every map with 16 bits of size.)
const map = Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`key ${i}`, i]));
assert.deepEqual(await echo(map), map);
const list = Array.from({ length: 70_000 }, (_, i) => i);
assert.deepEqual(await echo(list), list);
for (const text of ["", "ü", "😀", "x".repeat(70_000)]) assert.equal(await echo(text), text);
const blob = Buffer.alloc(10_000_000, "\n\0ÿ");
const { blobs } = await worker.execute("test.Echo", {}, { blobs: { value: blob } });
assert.ok(blob.equals(Buffer.from(blobs.output)));
// Many at once: each answer belongs to its question.
const sums = Array.from({ length: 100 }, (_, i) => worker.execute("test.Add", { a: i, b: i }));
assert.deepEqual((await Promise.all(sums)).map(({ outputs }) => Number(outputs.output)), sums.map((_, i) => 2 * i));
assert.equal(await worker.close(), 0);
console.log("every value came through");
