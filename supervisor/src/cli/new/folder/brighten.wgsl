struct Uniforms {
    width: u32,
    height: u32,
    factor: f32,
}

@group(0) @binding(0) var<storage, read> pixels: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@group(0) @binding(2) var<uniform> u: Uniforms;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3u) {
    // Whole workgroups run: some of the invocations lie outside of the picture.
    if at.x >= u.width || at.y >= u.height {
        return;
    }
    let i = at.y * u.width + at.x;
    let pixel = pixels[i];
    result[i] = vec4f(min(pixel.rgb * u.factor, vec3f(1.0)), pixel.a);
}
