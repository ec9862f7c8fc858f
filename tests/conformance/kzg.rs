//! `kzg`: commitments and proofs of blobs and cells, on bytes whose lengths are wrong on purpose in some cases.

use hornero::{
    crypto::kzg::{self, CellsAndProofs},
    types::{Blob, Cell, Hash256, KZGCommitment, KZGProof},
};
use serde::Deserialize;
use serde_yaml_ng::Value;

use super::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    input: Input,
    /// Null if the input is malformed.
    output: Value,
}

/// Every input of any handler. As text, because the length of some is wrong.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Input {
    blob: String,
    blobs: Vec<String>,
    cell_indices: Vec<u64>,
    cells: Vec<String>,
    commitment: String,
    commitment_indices: Vec<u64>,
    commitments: Vec<String>,
    /// Cells as field elements.
    cosets_evals: Vec<Vec<Hash256>>,
    proof: String,
    proofs: Vec<String>,
    y: String,
    z: String,
}

pub fn run(case: &Case) -> Result<(), String> {
    let Data { input, output } = case.yaml("data")?;
    let ours = match case.handler.as_str() {
        "blob_to_kzg_commitment" => input.blob_to_kzg_commitment(),
        "compute_blob_kzg_proof" => input.compute_blob_kzg_proof(),
        "compute_cells" => input.compute_cells(),
        "compute_cells_and_kzg_proofs" => input.compute_cells_and_kzg_proofs(),
        "compute_challenge" => input.compute_challenge(),
        "compute_kzg_proof" => input.compute_kzg_proof(),
        "compute_verify_cell_kzg_proof_batch_challenge" => input.compute_verify_cell_kzg_proof_batch_challenge(),
        "recover_cells_and_kzg_proofs" => input.recover_cells_and_kzg_proofs(),
        "verify_blob_kzg_proof" => input.verify_blob_kzg_proof(),
        "verify_blob_kzg_proof_batch" => input.verify_blob_kzg_proof_batch(),
        "verify_cell_kzg_proof_batch" => input.verify_cell_kzg_proof_batch(),
        "verify_kzg_proof" => input.verify_kzg_proof(),
        other => return Err(format!("unknown handler {other}")),
    };
    let ours = ours.unwrap_or(Value::Null);
    if ours == output { Ok(()) } else { Err(format!("{} instead of {}", short(&ours), short(&output))) }
}

/// Each function's output for the input, or `None` if the input is malformed.
impl Input {
    fn blob_to_kzg_commitment(&self) -> Option<Value> {
        kzg::blob_to_kzg_commitment(&blob(&self.blob)?).ok().map(|point| hex(&point[..]))
    }

    fn compute_blob_kzg_proof(&self) -> Option<Value> {
        kzg::compute_blob_kzg_proof(&blob(&self.blob)?, &self.commitment.parse().ok()?)
            .ok()
            .map(|point| hex(&point[..]))
    }

    fn compute_cells(&self) -> Option<Value> {
        kzg::compute_cells(&blob(&self.blob)?).ok().map(|cells| list(&cells))
    }

    fn compute_cells_and_kzg_proofs(&self) -> Option<Value> {
        kzg::compute_cells_and_kzg_proofs(&blob(&self.blob)?).ok().map(cells_and_proofs)
    }

    fn compute_challenge(&self) -> Option<Value> {
        Some(hex(&kzg::compute_challenge(&blob(&self.blob)?, &self.commitment.parse().ok()?)[..]))
    }

    fn compute_kzg_proof(&self) -> Option<Value> {
        let (proof, y) = kzg::compute_kzg_proof(&blob(&self.blob)?, self.z.parse().ok()?).ok()?;
        Some(vec![hex(&proof[..]), hex(&y[..])].into())
    }

    fn compute_verify_cell_kzg_proof_batch_challenge(&self) -> Option<Value> {
        let cells: Vec<Cell> =
            self.cosets_evals.iter().map(|cell| Cell::new(cell.concat()).ok()).collect::<Option<_>>()?;
        let challenge = kzg::compute_verify_cell_kzg_proof_batch_challenge(
            &self.commitments()?,
            &self.commitment_indices,
            &self.cell_indices,
            &cells.iter().collect::<Vec<_>>(),
            &self.proofs()?,
        );
        Some(hex(&challenge.ok()?[..]))
    }

    fn recover_cells_and_kzg_proofs(&self) -> Option<Value> {
        let cells = self.cells()?;
        let cells: Vec<&Cell> = cells.iter().collect();
        kzg::recover_cells_and_kzg_proofs(&self.cell_indices, &cells).ok().map(cells_and_proofs)
    }

    fn verify_blob_kzg_proof(&self) -> Option<Value> {
        let (commitment, proof) = (self.commitment.parse().ok()?, self.proof.parse().ok()?);
        kzg::verify_blob_kzg_proof(&blob(&self.blob)?, &commitment, &proof).ok().map(Value::Bool)
    }

    fn verify_blob_kzg_proof_batch(&self) -> Option<Value> {
        let blobs: Vec<Blob> = self.blobs.iter().map(|text| blob(text)).collect::<Option<_>>()?;
        let blobs: Vec<&Blob> = blobs.iter().collect();
        kzg::verify_blob_kzg_proof_batch(&blobs, &self.commitments()?, &self.proofs()?).ok().map(Value::Bool)
    }

    fn verify_cell_kzg_proof_batch(&self) -> Option<Value> {
        let cells = self.cells()?;
        let cells: Vec<&Cell> = cells.iter().collect();
        let (commitments, proofs) = (self.commitments()?, self.proofs()?);
        kzg::verify_cell_kzg_proof_batch(&commitments, &self.cell_indices, &cells, &proofs).ok().map(Value::Bool)
    }

    fn verify_kzg_proof(&self) -> Option<Value> {
        let [z, y]: [Hash256; 2] = [self.z.parse().ok()?, self.y.parse().ok()?];
        let (commitment, proof) = (self.commitment.parse().ok()?, self.proof.parse().ok()?);
        kzg::verify_kzg_proof(&commitment, z, y, &proof).ok().map(Value::Bool)
    }

    fn cells(&self) -> Option<Vec<Cell>> {
        self.cells.iter().map(|text| Cell::new(bytes(text)?).ok()).collect()
    }

    fn commitments(&self) -> Option<Vec<KZGCommitment>> {
        self.commitments.iter().map(|text| text.parse().ok()).collect()
    }

    fn proofs(&self) -> Option<Vec<KZGProof>> {
        self.proofs.iter().map(|text| text.parse().ok()).collect()
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

fn blob(text: &str) -> Option<Blob> {
    Blob::new(bytes(text)?).ok()
}

fn hex(bytes: &[u8]) -> Value {
    Value::String(format!("0x{}", hex::encode(bytes)))
}

fn list(cells: &[Cell]) -> Value {
    cells.iter().map(|cell| hex(cell)).collect::<Vec<_>>().into()
}

fn cells_and_proofs((cells, proofs): CellsAndProofs) -> Value {
    let proofs: Vec<_> = proofs.iter().map(|proof| hex(&proof[..])).collect();
    vec![list(&cells), proofs.into()].into()
}

/// The beginning of a value, for messages: a list of cells has half a megabyte.
fn short(value: &Value) -> String {
    format!("{value:?}").chars().take(200).collect()
}
