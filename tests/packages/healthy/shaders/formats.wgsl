struct Board {
    width: u32,
}

@group(0) @binding(0) var<storage, read_write> colours: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> gray: array<f32>;
@group(0) @binding(3) var<storage, read_write> floats: array<f32>;
@group(0) @binding(4) var<storage, read_write> unsigned: array<u32>;
@group(0) @binding(5) var<storage, read_write> whole: array<i32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<storage, read> as_floats: array<f32>;
@group(0) @binding(8) var<storage, read_write> board: array<f32>;
@group(0) @binding(9) var<uniform> size: Board;

@compute @workgroup_size(64)
fn brighter(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= arrayLength(&colours) {
        return;
    }
    colours[id.x] = vec4f(colours[id.x].rgb * 0.5, 1.0);
    // Red and blue change places.
    let p = packed[id.x];
    packed[id.x] = (p & 0xff00ff00u) | ((p & 0xffu) << 16u) | ((p >> 16u) & 0xffu);
    gray[id.x] = 1.0 - gray[id.x];
}

@compute @workgroup_size(64)
fn more(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= arrayLength(&floats) {
        return;
    }
    sums[id.x] = floats[id.x] + f32(unsigned[id.x]) + f32(whole[id.x]) + as_floats[id.x];
    floats[id.x] += 0.5;
    unsigned[id.x] += 1u;
    whole[id.x] -= 1;
}

@compute @workgroup_size(4, 4)
fn chess(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * size.width + id.x;
    if id.x < size.width && i < arrayLength(&board) {
        board[i] = f32((id.x + id.y) % 2u);
    }
}
