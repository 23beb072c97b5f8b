// A whole host for the bridge protocol, for Node 18 and newer. It needs `npm install @msgpack/msgpack` (or `msgpackr`):
//
//     node host.mjs millwork worker --stdio --test-nodes
//     ENCODER=msgpackr node host.mjs millwork worker --stdio --test-nodes

import { spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

const { encode, decode } = await (process.env.ENCODER === "msgpackr"
  ? import("msgpackr").then(({ Packr }) => {
      const packr = new Packr({ useRecords: false }); // Records are an extension that only msgpackr reads.
      return { encode: (value) => packr.pack(value), decode: (bytes) => packr.unpack(bytes) };
    })
  : import("@msgpack/msgpack"));

const STARTUP = 20_000, SHORT = 30_000, LONG = 12 * 60_000, CLOSING = 5_000; // milliseconds that hosts wait
const TERMINAL = ["result", "error", "discover"];

export class Worker {
  #pending = new Map(); // By request id: what takes its frames.
  #lastId = 0;
  #dead = null;
  #log = [];

  static async start(command, ...args) {
    const worker = new Worker();
    worker.process = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    worker.ended = new Promise((resolve) => {
      worker.process.once("error", (error) => resolve(`could not be started: ${error.message}`));
      worker.process.once("close", (code, signal) => resolve(code ?? signal));
    });
    worker.ended.then((status) => worker.#die(`the worker ended: ${status}`));
    worker.process.stdin.on("error", () => {}); // It has died, and `ended` tells everybody.
    // Both pipes are read all the time: one that nobody empties stops the worker.
    worker.process.stdout.on("data", (bytes) => {
      try {
        worker.#read(bytes);
      } catch (error) {
        worker.#log.push(`its output is no frame: ${error.message}`);
        worker.process.kill("SIGKILL");
      }
    });
    const ready = new Promise((resolve) => worker.#readLog(resolve));
    const late = timer(STARTUP, `nothing of it within ${STARTUP} ms`);
    try {
      await Promise.race([ready, late.promise, worker.ended.then((status) => Promise.reject(new Error(status)))]);
    } catch (error) {
      worker.process.kill("SIGKILL");
      throw new Error([`${command} is not ready: ${error.message}`, ...worker.#log].join("\n  "));
    } finally {
      late.clear();
    }
    return worker;
  }

  #readLog(ready) {
    let rest = "";
    this.process.stderr.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop();
      if (lines.includes("NODETOOL_STDIO_READY")) ready();
      this.#log = [...this.#log, ...lines].slice(-20);
    });
  }

  #parts = [];
  #size = 0;
  #read(bytes) {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    // Joined once a frame is whole, and not for each part that comes.
    while (this.#size >= 4) {
      if (this.#parts[0].length < 4) this.#parts = [Buffer.concat(this.#parts)];
      const end = 4 + this.#parts[0].readUInt32BE();
      if (this.#size < end) return;
      const all = this.#parts.length > 1 ? Buffer.concat(this.#parts) : this.#parts[0];
      const frame = decode(all.subarray(4, end));
      this.#parts = [all.subarray(end)];
      this.#size -= end;
      this.#pending.get(frame.request_id)?.(frame);
    }
  }

  #die(why) {
    this.#dead = why; // Nobody waits for an answer that cannot come any more.
    for (const take of this.#pending.values()) take({ type: "error", data: { error: why } });
  }

  #send(type, request_id, data) {
    const payload = encode({ type, request_id, data });
    const header = Buffer.alloc(4);
    header.writeUInt32BE(payload.length);
    this.process.stdin.write(Buffer.concat([header, payload]));
  }

  // The frames of one request. The last one is its terminal frame; an error is thrown.
  async *request(type, data = {}, timeout = SHORT) {
    if (this.#dead) throw new Error(this.#dead);
    const id = String(++this.#lastId);
    const frames = [];
    let wake = () => {}, ended = false;
    this.#pending.set(id, (frame) => (frames.push(frame), wake()));
    this.#send(type, id, data);
    try {
      while (!ended) {
        if (frames.length === 0) {
          const late = timer(timeout, `no answer to ${type} within ${timeout} ms`);
          await Promise.race([new Promise((resolve) => (wake = resolve)), late.promise]).finally(late.clear);
        }
        const frame = frames.shift();
        ended = TERMINAL.includes(frame.type);
        if (frame.type === "error") throw new Error(frame.data.error);
        yield frame;
      }
    } finally {
      if (!ended) this.#send("cancel", id, {}); // Whoever stops iterating cancels.
      this.#pending.delete(id);
    }
  }

  async call(type, data, timeout) {
    let last;
    for await (const frame of this.request(type, data, timeout)) last = frame;
    return last.data;
  }

  execute(node_type, fields, more) {
    return this.call("execute", { node_type, fields, ...more }, LONG);
  }

  async *stream(node_type, fields) {
    for await (const { type, data } of this.request("execute.stream", { node_type, fields }, LONG)) {
      if (type === "chunk") yield data.outputs;
    }
  }

  // Ends stdin, which is how a worker is asked to go; then less and less politely.
  async close() {
    for (const ask of [() => this.process.stdin.end(), () => this.process.kill(), () => this.process.kill("SIGKILL")]) {
      ask();
      const late = timer(CLOSING);
      const status = await Promise.race([this.ended, late.promise.catch(() => null)]).finally(late.clear);
      if (status !== null) return status;
    }
  }
}

function timer(milliseconds, message) {
  let id;
  const promise = new Promise((_, reject) => (id = setTimeout(() => reject(new Error(message)), milliseconds)));
  return { promise, clear: () => clearTimeout(id) };
}

async function main() {
  const worker = await Worker.start(...process.argv.slice(2));
  const found = await worker.call("discover");
  console.log(`version ${found.protocol_version ?? 1}, ${found.nodes.length} nodes`);
  console.log("1 + 2.5 =", (await worker.execute("test.Add", { a: 1, b: 2.5 })).outputs.output);
  const echo = await worker.execute("test.Echo", {}, { blobs: { value: new Uint8Array([0, 10, 255]) } });
  console.log("a blob comes back whole:", Buffer.from([0, 10, 255]).equals(Buffer.from(echo.blobs.output)));
  const chunks = [];
  for await (const { output } of worker.stream("test.Stream", { n: 3 })) chunks.push(output);
  console.log("a stream of", chunks);
  await worker.execute("nope.Nope", {}).catch((error) => console.log("an error:", error.message));
  for await (const { output } of worker.stream("test.Stream", { n: 1_000_000_000 })) {
    console.log("a long one begins with", output);
    break; // This cancels it.
  }
  console.log("and the next request is served:", (await worker.execute("test.Add", { a: 2, b: 2 })).outputs.output);
  console.log("the worker ended with", await worker.close());
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error("error:", error.message);
    process.exitCode = 1;
  });
}
