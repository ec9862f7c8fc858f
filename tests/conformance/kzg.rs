//! `kzg`: proofs of cells. What makes proofs comes with the building of blobs.

use hornero::{
    crypto::kzg::verify_cell_kzg_proof_batch,
    types::{Cell, KZGCommitment, KZGProof},
};

use super::case::Case;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    input: Input,
    /// Null if the input is malformed.
    output: Option<bool>,
}

/// As text, because the length of some is wrong on purpose.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    commitments: Vec<String>,
    cell_indices: Vec<u64>,
    cells: Vec<String>,
    proofs: Vec<String>,
}

pub fn run(case: &Case) -> Result<(), String> {
    if case.handler != "verify_cell_kzg_proof_batch" {
        return Err(format!("unknown handler {}", case.handler));
    }
    let Data { input, output } = case.yaml("data")?;
    let ours = verify(&input);
    if ours == output { Ok(()) } else { Err(format!("{ours:?} instead of {output:?}")) }
}

fn verify(input: &Input) -> Option<bool> {
    let commitments: Vec<KZGCommitment> =
        input.commitments.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?;
    let proofs: Vec<KZGProof> = input.proofs.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?;
    let cells: Vec<Cell> = input.cells.iter().map(|text| cell(text)).collect::<Option<_>>()?;
    let cells: Vec<&Cell> = cells.iter().collect();
    verify_cell_kzg_proof_batch(&commitments, &input.cell_indices, &cells, &proofs).ok()
}

fn cell(text: &str) -> Option<Cell> {
    Cell::new(hex::decode(text.strip_prefix("0x")?).ok()?).ok()
}
