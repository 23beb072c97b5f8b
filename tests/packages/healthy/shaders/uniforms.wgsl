struct Params {
    f: f32,
    i: i32,
    u: u32,
    v2: vec2f,
    v3: vec3f,
    v4: vec4f,
    i2: vec2i,
    i3: vec3i,
    i4: vec4i,
    u2: vec2u,
    on: u32,
}

@group(0) @binding(0) var<storage, read_write> all: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
    all[0] = params.f;
    all[1] = f32(params.i);
    all[2] = f32(params.u);
    for (var i = 0u; i < 2u; i++) {
        all[3u + i] = params.v2[i];
        all[12u + i] = f32(params.i2[i]);
        all[21u + i] = f32(params.u2[i] * params.on);
    }
    for (var i = 0u; i < 3u; i++) {
        all[5u + i] = params.v3[i];
        all[14u + i] = f32(params.i3[i]);
    }
    for (var i = 0u; i < 4u; i++) {
        all[8u + i] = params.v4[i];
        all[17u + i] = f32(params.i4[i]);
    }
}
