struct Values {
    e0: f32,
    e1: f32,
    e2: f32,
    e3: f32,
    e4: f32,
    e5: f32,
    e6: f32,
    e7: f32,
    e8: f32,
    e9: f32,
    e10: f32,
    e11: f32,
    e12: f32,
    e13: f32,
    e14: f32,
    e15: f32,
    e16: f32,
    e17: f32,
    e18: f32,
    e19: f32,
    e20: f32,
    e21: f32,
    e22: f32,
    e23: f32,
    e24: f32,
    e25: f32,
    e26: f32,
    e27: f32,
}

@group(0) @binding(0) var<storage, read_write> all: array<f32>;
@group(0) @binding(1) var<uniform> e: Values;

@compute @workgroup_size(1)
fn main() {
    all[0] = e.e0;
    all[1] = e.e1;
    all[2] = e.e2;
    all[3] = e.e3;
    all[4] = e.e4;
    all[5] = e.e5;
    all[6] = e.e6;
    all[7] = e.e7;
    all[8] = e.e8;
    all[9] = e.e9;
    all[10] = e.e10;
    all[11] = e.e11;
    all[12] = e.e12;
    all[13] = e.e13;
    all[14] = e.e14;
    all[15] = e.e15;
    all[16] = e.e16;
    all[17] = e.e17;
    all[18] = e.e18;
    all[19] = e.e19;
    all[20] = e.e20;
    all[21] = e.e21;
    all[22] = e.e22;
    all[23] = e.e23;
    all[24] = e.e24;
    all[25] = e.e25;
    all[26] = e.e26;
    all[27] = e.e27;
}
