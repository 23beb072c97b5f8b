// Slides a kernel of odd size over a plane of pixels with interleaved channels: correlation, so the kernel is not
// flipped. One invocation per value; each step does a band of rows.

struct Params {
    width: u32,
    height: u32,
    channels: u32,
    kernel_width: u32,
    kernel_height: u32,
    edge: u32,      // 0 zero, 1 clamp, 2 mirror, 3 wrap
    first_row: u32, // this step does the rows first_row..last_row
    last_row: u32,
}

@group(0) @binding(0) var<storage, read> image: array<f32>;
@group(0) @binding(1) var<storage, read> kernel: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

// The place that stands for place i of n, or -1 where there is none.
fn at(i: i32, n: i32) -> i32 {
    if i >= 0 && i < n { return i; }
    switch p.edge {
        case 1u: { return clamp(i, 0, n - 1); }
        case 2u: {
            // dcb|abcd|cba: the edge itself is not repeated.
            let period = max(2 * (n - 1), 1);
            let j = abs(i) % period;
            return min(j, period - j);
        }
        case 3u: { return ((i % n) + n) % n; }
        default: { return -1; }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let row = p.first_row + id.y;
    if id.x >= p.width * p.channels || row >= p.last_row { return; }
    let column = i32(id.x / p.channels);
    let channel = id.x % p.channels;
    let left = column - i32(p.kernel_width / 2u);
    let top = i32(row) - i32(p.kernel_height / 2u);
    var sum = 0.0;
    for (var v = 0u; v < p.kernel_height; v++) {
        let y = at(top + i32(v), i32(p.height));
        if y < 0 { continue; }
        for (var u = 0u; u < p.kernel_width; u++) {
            let x = at(left + i32(u), i32(p.width));
            if x < 0 { continue; }
            sum += kernel[v * p.kernel_width + u] * image[(u32(y) * p.width + u32(x)) * p.channels + channel];
        }
    }
    result[row * p.width * p.channels + id.x] = sum;
}
