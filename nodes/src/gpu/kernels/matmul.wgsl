// C = A · B in f32, four rows by four columns of C per invocation.
//
// Both inputs are packed so that every read is a vec4: `a` holds A transposed, `b` holds B, each with its rows padded
// to whole vec4s. The sum over k is cut into steps, since software drivers stop a loop after 65,535 rounds.

struct Params {
    row_blocks: u32,  // ceil(rows of C / 4), the length of a row of `a`
    col_blocks: u32,  // ceil(columns of C / 4), the length of a row of `b` and of `c`
    first_k: u32,     // this step sums k over first_k..last_k …
    last_k: u32,
    first_block: u32, // … for the rows from 4·first_block
    last_block: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(3) var<uniform> p: Params;

// Adds to what earlier steps left; the buffer starts as zeros.
fn add(row_block: u32, col_block: u32, sum: mat4x4f) {
    if row_block >= p.last_block || col_block >= p.col_blocks { return; }
    let at = 4u * row_block * p.col_blocks + col_block;
    c[at] += sum[0];
    c[at + p.col_blocks] += sum[1];
    c[at + 2u * p.col_blocks] += sum[2];
    c[at + 3u * p.col_blocks] += sum[3];
}

// Straight from storage: for software adapters, where a barrier costs more than all the reads that it saves.
@compute @workgroup_size(16, 16)
fn direct(@builtin(global_invocation_id) id: vec3u) {
    let col_block = id.x;
    let row_block = id.y + p.first_block;
    if row_block >= p.last_block || col_block >= p.col_blocks { return; }
    var sum = mat4x4f();
    for (var k = p.first_k; k < p.last_k; k++) {
        let x = a[k * p.row_blocks + row_block];
        let y = b[k * p.col_blocks + col_block];
        sum[0] += x.x * y;
        sum[1] += x.y * y;
        sum[2] += x.z * y;
        sum[3] += x.w * y;
    }
    add(row_block, col_block, sum);
}

const TILE = 16u;
var<workgroup> tile_a: array<vec4f, 256>;
var<workgroup> tile_b: array<vec4f, 256>;

// A 64 by 64 tile of C per workgroup, through workgroup memory: for real GPUs. Every invocation fetches one vec4 of
// each input per 16 values of k.
@compute @workgroup_size(16, 16)
fn tiled(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let col_block = group.x * TILE + local.x;
    let row_block = group.y * TILE + local.y + p.first_block;
    let fetched_row_block = group.y * TILE + local.x + p.first_block;
    var sum = mat4x4f();
    for (var first = p.first_k; first < p.last_k; first += TILE) {
        let k = first + local.y;
        let here = local.y * TILE + local.x;
        tile_a[here] = vec4f();
        tile_b[here] = vec4f();
        if k < p.last_k && fetched_row_block < p.last_block { tile_a[here] = a[k * p.row_blocks + fetched_row_block]; }
        if k < p.last_k && col_block < p.col_blocks { tile_b[here] = b[k * p.col_blocks + col_block]; }
        workgroupBarrier();
        for (var i = 0u; i < TILE; i++) {
            let x = tile_a[i * TILE + local.y];
            let y = tile_b[i * TILE + local.x];
            sum[0] += x.x * y;
            sum[1] += x.y * y;
            sum[2] += x.z * y;
            sum[3] += x.w * y;
        }
        workgroupBarrier();
    }
    add(row_block, col_block, sum);
}
