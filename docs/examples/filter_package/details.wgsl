// Adds to each pixel what a blur has taken away from it. Alpha stays.

struct Params {
    size: vec2u,
    amount: f32,
    threshold: f32,
}

@group(0) @binding(0) var<storage, read> pixels: array<vec4f>;
@group(0) @binding(1) var<storage, read> soft: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sharp: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if any(id.xy >= params.size) {
        return;
    }
    let i = id.y * params.size.x + id.x;
    let detail = pixels[i].rgb - soft[i].rgb;
    let raised = select(vec3f(), params.amount * detail, abs(detail) >= vec3f(params.threshold));
    sharp[i] = vec4f(pixels[i].rgb + raised, pixels[i].a);
}
