@group(0) @binding(0) var<storage, read> pixels: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> halved: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < arrayLength(&halved) {
        halved[id.x] = vec4f(pixels[id.x].rgb * 0.5, 1.0);
    }
}
