// Folds `given` values into `kept` ones: invocation i takes the values i, i + kept, i + 2·kept, …
// Run again on what is kept until one is left. No barriers, and short loops.

struct Params {
    given: u32,
    kept: u32,
    op: u32, // 0 sum, 1 min, 2 max
}

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> folded: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.kept { return; }
    var acc = values[id.x];
    for (var i = id.x + p.kept; i < p.given; i += p.kept) {
        let value = values[i];
        switch p.op {
            case 1u: { acc = min(acc, value); }
            case 2u: { acc = max(acc, value); }
            default: { acc += value; }
        }
    }
    folded[id.x] = acc;
}
