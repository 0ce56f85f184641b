//! Cooperative matrices: whether an adapter has those that `matmul_cooperative` computes with, and whether they are wanted.
//!
//! wgpu calls its support for them experimental, so they are for those who ask: nothing needs them.

use super::Traits;

/// The variable that asks for them.
const VARIABLE: &str = "HINDSIGHT_COOPERATIVE_MATRICES";

/// Whether they are there, and wanted.
pub(super) fn are_used(adapter: &wgpu::Adapter) -> bool {
    are_there(adapter) && are_wanted()
}

/// A word about them among an adapter's features, where it has them.
pub(super) fn feature(adapter: &wgpu::Adapter) -> Option<String> {
    are_there(adapter).then(|| match are_wanted() {
        true => "cooperative matrices".into(),
        false => format!("cooperative matrices (experimental, unused: {VARIABLE}=1 tries them)"),
    })
}

/// Leave to use them on a device, where they are used.
#[allow(unsafe_code)]
pub(super) fn leave(traits: &Traits) -> wgpu::ExperimentalFeatures {
    match traits.cooperative {
        // SAFETY: what is asked for is to know that an experimental feature may have defects. Who sets the variable knows, and
        // the shader is held to its oracle like all others.
        true => unsafe { wgpu::ExperimentalFeatures::enabled() },
        false => wgpu::ExperimentalFeatures::disabled(),
    }
}

fn are_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value != "0")
}

/// Whether the adapter has the kind that loses no digit: 8 x 8, in single precision throughout. (Most have products of half precision.)
fn are_there(adapter: &wgpu::Adapter) -> bool {
    let single = |kind: &wgpu::CooperativeMatrixProperties| {
        [kind.m_size, kind.n_size, kind.k_size] == [8; 3]
            && [kind.ab_type, kind.cr_type] == [wgpu::CooperativeScalarType::F32; 2]
    };
    adapter.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
        && adapter.cooperative_matrix_properties().iter().any(single)
}
