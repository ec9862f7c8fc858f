//! `operations`: one operation of a block on its own.

use hornero::{crypto::PubkeyCache, transition::*, types::*};
use ssz::Decode;

use super::{
    case::Case,
    config,
    states::{check_post, read},
};

/// `execution.yaml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Execution {
    execution_valid: bool,
}

pub fn run(case: &Case) -> Result<(), String> {
    let (config, keys) = (config::of(case)?, PubkeyCache::default());
    let mut run = Run {
        case,
        state: read(case, "pre")?,
        ctx: Context { config: &config, keys: &keys },
        signatures: SignatureCollector::new(case.bls_is_on()?),
    };
    let result = run.process()?.and_then(|()| run.signatures.verify());
    check_post(case, result, run.state)
}

/// A case at work.
struct Run<'a> {
    case: &'a Case,
    state: BeaconState,
    ctx: Context<'a>,
    signatures: SignatureCollector,
}

/// A function of the transition that takes an operation of type `T`, whose signatures are collected.
type Signed<T> = fn(&mut BeaconState, &T, &Context, &mut SignatureCollector) -> Result<(), TransitionError>;

/// The same for operations that have none, or that check their own.
type Unsigned<T> = fn(&mut BeaconState, &T, &Context) -> Result<(), TransitionError>;

/// What the transition says; the outer error is about the case itself.
type Outcome = Result<Result<(), TransitionError>, String>;

impl Run<'_> {
    fn process(&mut self) -> Outcome {
        match self.case.handler.as_str() {
            "attestation" => self.in_shape_of_fork::<AttestationPhase0, _>("attestation", process_attestation),
            "attester_slashing" => {
                self.in_shape_of_fork::<AttesterSlashingPhase0, _>("attester_slashing", process_attester_slashing)
            }
            "block_header" => {
                let bytes = self.case.ssz_bytes("block")?;
                let block = BeaconBlock::from_ssz_bytes(self.case.fork()?, &bytes).map_err(|e| format!("{e:?}"))?;
                Ok(process_block_header(&mut self.state, &block.header()))
            }
            "bls_to_execution_change" => self.signed("address_change", process_bls_to_execution_change),
            "consolidation_request" => self.unsigned("consolidation_request", process_consolidation_request),
            "deposit" => self.unsigned("deposit", process_deposit),
            "deposit_request" => {
                process_deposit_request(&mut self.state, &self.case.ssz("deposit_request")?);
                Ok(Ok(()))
            }
            "execution_payload" => self.execution_payload(),
            "proposer_slashing" => self.signed("proposer_slashing", process_proposer_slashing),
            "sync_aggregate" => self.signed("sync_aggregate", process_sync_aggregate),
            "voluntary_exit" => self.signed("voluntary_exit", process_voluntary_exit),
            "withdrawal_request" => self.unsigned("withdrawal_request", process_withdrawal_request),
            "withdrawals" => {
                let payload = match self.case.fork()? {
                    ForkName::Capella => self.case.ssz::<ExecutionPayloadCapella>("execution_payload")?.into(),
                    _ => self.case.ssz("execution_payload")?,
                };
                Ok(process_withdrawals(&mut self.state, &payload))
            }
            other => Err(format!("no operation {other}")),
        }
    }

    /// As `signed`, where operations before Electra have the shape `E`.
    fn in_shape_of_fork<E: Decode + Into<T>, T: Decode>(&mut self, file: &str, process: Signed<T>) -> Outcome {
        if self.case.fork()? >= ForkName::Electra {
            return self.signed(file, process);
        }
        let earlier: E = self.case.ssz(file)?;
        Ok(process(&mut self.state, &earlier.into(), &self.ctx, &mut self.signatures))
    }

    fn signed<T: Decode>(&mut self, file: &str, process: Signed<T>) -> Outcome {
        Ok(process(&mut self.state, &self.case.ssz(file)?, &self.ctx, &mut self.signatures))
    }

    fn unsigned<T: Decode>(&mut self, file: &str, process: Unsigned<T>) -> Outcome {
        Ok(process(&mut self.state, &self.case.ssz(file)?, &self.ctx))
    }

    /// The execution client's verdict is heeded by whoever calls the transition: here, by us.
    fn execution_payload(&mut self) -> Outcome {
        let bytes = self.case.ssz_bytes("body")?;
        let body = BeaconBlockBody::from_ssz_bytes(self.case.fork()?, &bytes).map_err(|e| format!("{e:?}"))?;
        let Execution { execution_valid } = self.case.yaml("execution")?;
        let result = process_execution_payload(&mut self.state, &body, &self.ctx);
        let verdict = ensure(execution_valid, "execution payload", "the execution client must find it valid");
        Ok(result.and(verdict))
    }
}
