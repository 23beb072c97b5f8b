// How fast z² + c leaves the circle of radius 16: a smooth count of rounds per pixel, or -1 where it never does.

struct Params {
    left: f32, // c of the centre of the top left pixel
    top: f32,
    pixel: f32, // distance of two pixels in the plane
    rounds: u32,
    width: u32,
    first_row: u32, // this step does the rows first_row..last_row
    last_row: u32,
}

@group(0) @binding(0) var<storage, read_write> counts: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let row = p.first_row + id.y;
    if id.x >= p.width || row >= p.last_row { return; }
    let cx = p.left + f32(id.x) * p.pixel;
    let cy = p.top - f32(row) * p.pixel;
    var x = 0.0;
    var y = 0.0;
    var count = -1.0;
    for (var i = 0u; i < p.rounds; i++) {
        let xx = x * x;
        let yy = y * y;
        if xx + yy > 256.0 {
            // The fraction makes the count continuous over the bands of equal i.
            count = max(f32(i) + 1.0 - log2(0.5 * log2(xx + yy)), 0.0);
            break;
        }
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
    }
    counts[row * p.width + id.x] = count;
}
