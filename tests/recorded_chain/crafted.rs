//! A recorded block, with one more operation of each kind that is signed. The devnet's keys are known to everybody.

use hornero::{crypto::*, transition::*, types::*, validator::interop_secret_key};

use super::recording;

/// Validators that the operations are about; none is the block's proposer.
const PROPOSER_SLASHED: u64 = 1;
const ATTESTER_SLASHED: u64 = 2;
const EXITING: u64 = 3;
const CHANGING: u64 = 5;

/// A kind of signature: how the transition calls it, and where it is.
#[derive(Clone, Copy)]
pub struct Kind {
    pub operation: &'static str,
    pub signature: fn(&mut SignedBeaconBlock) -> &mut BLSSignature,
}

/// Every kind of signature that a block has.
pub const KINDS: [Kind; 10] = [
    Kind { operation: "block", signature: |block| &mut block.signature },
    Kind { operation: "randao reveal", signature: |block| &mut block.message.body.randao_reveal },
    Kind {
        operation: "proposer slashing",
        signature: |block| &mut block.message.body.proposer_slashings[0].signed_header_1.signature,
    },
    Kind {
        operation: "proposer slashing",
        signature: |block| &mut block.message.body.proposer_slashings[0].signed_header_2.signature,
    },
    Kind {
        operation: "attester slashing",
        signature: |block| &mut block.message.body.attester_slashings[0].attestation_1.signature,
    },
    Kind {
        operation: "attester slashing",
        signature: |block| &mut block.message.body.attester_slashings[0].attestation_2.signature,
    },
    Kind { operation: "attestation", signature: |block| &mut block.message.body.attestations[0].signature },
    Kind { operation: "voluntary exit", signature: |block| &mut block.message.body.voluntary_exits[0].signature },
    Kind {
        operation: "change of withdrawal credentials",
        signature: |block| &mut block.message.body.bls_to_execution_changes[0].signature,
    },
    Kind {
        operation: "sync aggregate",
        signature: |block| &mut block.message.body.sync_aggregate.sync_committee_signature,
    },
];

/// The block, and what it needs to be valid (but for its state root).
pub struct Crafted {
    pub config: Config,
    pub parent_state: BeaconState,
    pub block: SignedBeaconBlock,
}

impl Crafted {
    pub fn new() -> Crafted {
        // The recorded chain is too young for exits.
        let mut config = recording::config();
        config.shard_committee_period = 0;
        let parent_state = recording::state("justified");
        let mut block = recording::block(recording::FIRST_SLOT);
        let others = [PROPOSER_SLASHED, ATTESTER_SLASHED, EXITING, CHANGING];
        assert!(!others.contains(&block.message.proposer_index), "choose other validators");
        let body = &mut block.message.body;
        body.proposer_slashings = vec![proposer_slashing(&parent_state)].try_into().expect("room for one");
        body.attester_slashings = vec![attester_slashing(&parent_state)];
        body.voluntary_exits = vec![voluntary_exit(&parent_state, &config)].try_into().expect("room for one");
        body.bls_to_execution_changes = vec![change(&parent_state, &config)].try_into().expect("room for one");
        let mut crafted = Crafted { config, parent_state, block };
        crafted.block.signature = crafted.proposer_signature(&crafted.block.message);
        crafted
    }

    /// The block with a signature that is one, but of something else. It is signed anew, so that nothing else is false.
    pub fn with_false_signature(&self, kind: Kind) -> SignedBeaconBlock {
        let mut block = self.block.clone();
        *(kind.signature)(&mut block) = sign(&interop_secret_key(0), Hash256::repeat_byte(7));
        if kind.operation != "block" {
            block.signature = self.proposer_signature(&block.message);
        }
        block
    }

    fn proposer_signature(&self, block: &BeaconBlock) -> BLSSignature {
        let epoch = compute_epoch_at_slot(block.slot);
        signed_by(block.proposer_index, block, get_domain(&self.parent_state, DOMAIN_BEACON_PROPOSER, epoch))
    }
}

fn signed_by<T: tree_hash::TreeHash>(validator: u64, message: &T, domain: Domain) -> BLSSignature {
    sign(&interop_secret_key(validator), compute_signing_root(message, domain))
}

fn proposer_slashing(state: &BeaconState) -> ProposerSlashing {
    let domain = get_domain(state, DOMAIN_BEACON_PROPOSER, state.current_epoch());
    let header = |n| {
        let body_root = Hash256::repeat_byte(n);
        let message =
            BeaconBlockHeader { slot: state.slot, proposer_index: PROPOSER_SLASHED, body_root, ..Default::default() };
        SignedBeaconBlockHeader { message, signature: signed_by(PROPOSER_SLASHED, &message, domain) }
    };
    ProposerSlashing { signed_header_1: header(1), signed_header_2: header(2) }
}

fn attester_slashing(state: &BeaconState) -> AttesterSlashing {
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, state.current_epoch());
    let vote = |n| {
        let target = Checkpoint { epoch: state.current_epoch(), root: Hash256::repeat_byte(n) };
        let data = AttestationData { slot: state.slot, target, ..Default::default() };
        IndexedAttestation {
            attesting_indices: vec![ATTESTER_SLASHED].try_into().expect("room for one"),
            data,
            signature: signed_by(ATTESTER_SLASHED, &data, domain),
        }
    };
    AttesterSlashing { attestation_1: vote(1), attestation_2: vote(2) }
}

fn voluntary_exit(state: &BeaconState, config: &Config) -> SignedVoluntaryExit {
    let message = VoluntaryExit { epoch: 0, validator_index: EXITING };
    let domain = compute_domain(DOMAIN_VOLUNTARY_EXIT, config.capella_fork_version, state.genesis_validators_root);
    SignedVoluntaryExit { message, signature: signed_by(EXITING, &message, domain) }
}

fn change(state: &BeaconState, config: &Config) -> SignedBLSToExecutionChange {
    let message = BLSToExecutionChange {
        validator_index: CHANGING,
        from_bls_pubkey: interop_secret_key(CHANGING).public_key().to_compressed(),
        to_execution_address: Address::repeat_byte(3),
    };
    let version = config.genesis_fork_version;
    let domain = compute_domain(DOMAIN_BLS_TO_EXECUTION_CHANGE, version, state.genesis_validators_root);
    let signature = signed_by(CHANGING, &message, domain);
    SignedBLSToExecutionChange { message, signature }
}
