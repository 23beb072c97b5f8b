struct Size {
    width: u32,
    height: u32,
}

@group(0) @binding(0) var<storage, read> input: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@group(0) @binding(2) var<uniform> size: Size;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= size.width || id.y >= size.height {
        return;
    }
    let i = id.y * size.width + id.x;
    result[i] = vec4f(1.0 - input[i].rgb, input[i].a);
}
