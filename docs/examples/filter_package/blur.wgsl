// A Gaussian blur in two passes: along rows, then along columns. In between, colours are multiplied by alpha, so that what is
// transparent does not bleed into what is opaque.

struct Params {
    size: vec2u,
    sigma: f32,
    radius: i32,
}

@group(0) @binding(0) var<storage, read> pixels: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> soft: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

// Not normalised: each pass divides by the sum.
fn weight(distance: i32) -> f32 {
    let x = f32(distance) / params.sigma;
    return exp(-0.5 * x * x);
}

// The place of a pixel; beyond the border the last one goes on.
fn index(x: i32, y: i32) -> u32 {
    let last = vec2i(params.size) - 1;
    return u32(clamp(y, 0, last.y)) * params.size.x + u32(clamp(x, 0, last.x));
}

@compute @workgroup_size(8, 8)
fn along_rows(@builtin(global_invocation_id) id: vec3u) {
    if any(id.xy >= params.size) {
        return;
    }
    let at = vec2i(id.xy);
    var sum = vec4f();
    var weights = 0.0;
    for (var i = -params.radius; i <= params.radius; i++) {
        let pixel = pixels[index(at.x + i, at.y)];
        sum += weight(i) * vec4f(pixel.rgb * pixel.a, pixel.a);
        weights += weight(i);
    }
    rows[index(at.x, at.y)] = sum / weights;
}

@compute @workgroup_size(8, 8)
fn along_columns(@builtin(global_invocation_id) id: vec3u) {
    if any(id.xy >= params.size) {
        return;
    }
    let at = vec2i(id.xy);
    var sum = vec4f();
    var weights = 0.0;
    for (var i = -params.radius; i <= params.radius; i++) {
        sum += weight(i) * rows[index(at.x, at.y + i)];
        weights += weight(i);
    }
    let mean = sum / weights;
    soft[index(at.x, at.y)] = select(vec4f(), vec4f(mean.rgb / mean.a, mean.a), mean.a > 0.0);
}
