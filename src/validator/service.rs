//! The client's day: one task that does each slot's duties at their time.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_channel::Receiver;
use tracing::{debug, warn};
use tree_hash::TreeHash;

use super::{
    beacon::{AttesterDuty, BeaconClient, BeaconError, CommitteeSubscription, Preparation, SyncSubscription},
    duties::Duties,
    keys::InteropKeys,
    signer::{Signer, is_aggregator, is_sync_committee_aggregator},
};
use crate::types::{preset::*, *};

/// Who gets the fees of our blocks: nobody, since these are keys that everybody knows.
const FEE_RECIPIENT: Address = Address::repeat_byte(0xfe);

/// What a validator client needs to know.
#[derive(Clone, Debug)]
pub struct ValidatorConfig {
    /// Address of the beacon node's API.
    pub beacon_url: String,
    /// The validators.
    pub keys: Arc<InteropKeys>,
    /// The network's configuration.
    pub config: Arc<Config>,
    /// The chain's root.
    pub genesis_validators_root: Hash256,
    /// Seconds since 1970.
    pub genesis_time: u64,
}

/// One slot's work, on the blocking pool.
struct Client {
    beacon: BeaconClient,
    keys: Arc<InteropKeys>,
    signer: Signer,
}

/// What was voted for at a third of a slot, for the aggregators at two thirds.
#[derive(Clone, Debug, Default)]
struct Voted {
    data: Option<AttestationData>,
    head: Option<Hash256>,
}

/// Does the duties of all slots until `stop` closes. Failed duties are logged and gone; nothing is tried twice.
pub async fn run(config: ValidatorConfig, stop: Receiver<()>) {
    let client = Arc::new(Client {
        beacon: BeaconClient::new(&config.beacon_url),
        keys: config.keys.clone(),
        signer: Signer { config: config.config.clone(), genesis_validators_root: config.genesis_validators_root },
    });
    let work = async {
        let slot_ms = config.config.slot_duration_ms;
        let mut slot = now_ms().saturating_sub(config.genesis_time * 1000) / slot_ms;
        let mut duties: Option<(Epoch, Arc<Duties>)> = None;
        loop {
            // A slot that was missed is not made up for: its duties would be late, and proposing twice is worse than not.
            slot = (slot + 1).max(now_ms().saturating_sub(config.genesis_time * 1000) / slot_ms);
            let start = config.genesis_time * 1000 + slot * slot_ms;
            let at = |basis_points: u64| start + slot_ms * basis_points / BASIS_POINTS;
            sleep_until(start).await;
            let epoch = compute_epoch_at_slot(slot);
            if duties.as_ref().is_none_or(|(of, _)| *of != epoch) {
                let (fetcher, keys) = (client.clone(), client.keys.clone());
                match smol::unblock(move || Duties::fetch(&fetcher.beacon, &keys, epoch)).await {
                    Ok(fetched) => {
                        let fetched = Arc::new(fetched);
                        duties = Some((epoch, fetched.clone()));
                        let subscriber = client.clone();
                        // Beside the duties: a proposal does not wait for it.
                        let subscribed = async move { step(&subscriber, &fetched, slot, Client::subscribe).await };
                        smol::spawn(subscribed).detach();
                    }
                    Err(error) => {
                        warn!("no duties for epoch {epoch}: {error}");
                        continue;
                    }
                }
            }
            let Some((_, today)) = duties.clone() else { continue };
            step(&client, &today, slot, Client::propose).await;
            sleep_until(at(config.config.attestation_due_bps)).await;
            let voted = step(&client, &today, slot, Client::vote).await.unwrap_or_default();
            sleep_until(at(config.config.aggregate_due_bps)).await;
            step(&client, &today, slot, move |client, duties, slot| client.aggregate(duties, slot, &voted)).await;
        }
    };
    let stopped = async {
        // An error means that the other side is gone, which is the sign to stop as well.
        let _ = stop.recv().await;
    };
    smol::future::or(work, stopped).await;
}

async fn step<T: Send + 'static>(
    client: &Arc<Client>,
    duties: &Arc<Duties>,
    slot: Slot,
    work: impl FnOnce(&Client, &Duties, Slot) -> Result<T, BeaconError> + Send + 'static,
) -> Option<T> {
    let (client, duties) = (client.clone(), duties.clone());
    let done = smol::unblock(move || work(&client, &duties, slot)).await;
    done.inspect_err(|error| debug!("a duty of slot {slot} failed: {error}")).ok()
}

impl Client {
    /// Tells the node who may propose, and where ours attest and sign, in this epoch and the next, so that it hears what they
    /// aggregate.
    fn subscribe(&self, duties: &Duties, slot: Slot) -> Result<(), BeaconError> {
        let epoch = compute_epoch_at_slot(slot);
        let ours: Vec<ValidatorIndex> = self.keys.indices().collect();
        let preparation = |validator_index| Preparation { validator_index, fee_recipient: FEE_RECIPIENT };
        self.beacon.prepare_proposers(&ours.iter().copied().map(preparation).collect::<Vec<_>>(), self.fork(slot))?;
        let next = self.beacon.attester_duties(epoch + 1, &ours)?;
        let coming = duties.attesters.values().flatten().chain(&next).filter(|duty| duty.slot >= slot);
        let committees: Vec<_> = coming.filter_map(|duty| self.subscription(duty)).collect();
        self.beacon.subscribe_committees(&committees, self.fork(slot))?;
        let until_epoch = (epoch / EPOCHS_PER_SYNC_COMMITTEE_PERIOD + 1) * EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
        let members = duties.sync.iter().map(|duty| SyncSubscription {
            validator_index: duty.validator_index,
            sync_committee_indices: duty.validator_sync_committee_indices.clone(),
            until_epoch,
        });
        self.beacon.subscribe_sync(&members.collect::<Vec<_>>(), self.fork(slot))
    }

    fn subscription(&self, duty: &AttesterDuty) -> Option<CommitteeSubscription> {
        let proof = self.signer.selection_proof(self.keys.secret(duty.validator_index)?, duty.slot);
        Some(CommitteeSubscription {
            validator_index: duty.validator_index,
            committee_index: duty.committee_index,
            committees_at_slot: duty.committees_at_slot,
            slot: duty.slot,
            is_aggregator: is_aggregator(duty.committee_length, &proof),
        })
    }

    fn propose(&self, duties: &Duties, slot: Slot) -> Result<(), BeaconError> {
        let Some(key) = duties.proposers.get(&slot).and_then(|proposer| self.keys.secret(*proposer)) else {
            return Ok(());
        };
        let reveal = self.signer.randao_reveal(key, slot);
        let BlockContents { block, kzg_proofs, blobs } = self.beacon.produce_block(slot, &reveal, self.fork(slot))?;
        let signature = self.signer.sign(key, &block, crate::crypto::DOMAIN_BEACON_PROPOSER, slot);
        let signed_block = SignedBeaconBlock { message: block, signature };
        self.beacon.publish_block(&SignedBlockContents { signed_block, kzg_proofs, blobs }, self.fork(slot))
    }

    fn vote(&self, duties: &Duties, slot: Slot) -> Result<Voted, BeaconError> {
        let mut voted = Voted::default();
        if !duties.attesters_of(slot).is_empty() {
            let data = self.beacon.attestation_data(slot)?;
            let votes: Vec<_> = duties
                .attesters_of(slot)
                .iter()
                .filter_map(|duty| {
                    let key = self.keys.secret(duty.validator_index)?;
                    Some(SingleAttestation {
                        committee_index: duty.committee_index,
                        attester_index: duty.validator_index,
                        data,
                        signature: self.signer.sign(key, &data, crate::crypto::DOMAIN_BEACON_ATTESTER, slot),
                    })
                })
                .collect();
            self.beacon.publish_attestations(&votes, self.fork(slot))?;
            voted.data = Some(data);
        }
        if !duties.sync.is_empty() {
            let head = self.beacon.head_root()?;
            let messages: Vec<_> = duties
                .sync
                .iter()
                .filter_map(|duty| {
                    let key = self.keys.secret(duty.validator_index)?;
                    let signature = self.signer.sign(key, &head, crate::crypto::DOMAIN_SYNC_COMMITTEE, slot);
                    let validator_index = duty.validator_index;
                    Some(SyncCommitteeMessage { slot, beacon_block_root: head, validator_index, signature })
                })
                .collect();
            self.beacon.publish_sync_messages(&messages, self.fork(slot))?;
            voted.head = Some(head);
        }
        Ok(voted)
    }

    fn aggregate(&self, duties: &Duties, slot: Slot, voted: &Voted) -> Result<(), BeaconError> {
        if let Some(data) = &voted.data {
            let aggregates = self.attestation_aggregates(duties, slot, data);
            if !aggregates.is_empty() {
                self.beacon.publish_aggregates(&aggregates, self.fork(slot))?;
            }
        }
        if let Some(head) = voted.head {
            let contributions = self.sync_contributions(duties, slot, head);
            if !contributions.is_empty() {
                self.beacon.publish_contributions(&contributions, self.fork(slot))?;
            }
        }
        Ok(())
    }

    fn attestation_aggregates(
        &self,
        duties: &Duties,
        slot: Slot,
        data: &AttestationData,
    ) -> Vec<SignedAggregateAndProof> {
        let root = data.tree_hash_root();
        let mut signed = Vec::new();
        for duty in duties.attesters_of(slot) {
            let Some(key) = self.keys.secret(duty.validator_index) else { continue };
            let selection_proof = self.signer.selection_proof(key, slot);
            if !is_aggregator(duty.committee_length, &selection_proof) {
                continue;
            }
            match self.beacon.aggregate(slot, root, duty.committee_index) {
                Ok(aggregate) => {
                    let message =
                        AggregateAndProof { aggregator_index: duty.validator_index, aggregate, selection_proof };
                    let purpose = crate::crypto::DOMAIN_AGGREGATE_AND_PROOF;
                    let signature = self.signer.sign(key, &message, purpose, slot);
                    signed.push(SignedAggregateAndProof { message, signature });
                }
                Err(error) => debug!("no aggregate for committee {} of slot {slot}: {error}", duty.committee_index),
            }
        }
        signed
    }

    fn sync_contributions(&self, duties: &Duties, slot: Slot, head: Hash256) -> Vec<SignedContributionAndProof> {
        let subcommittee_size = (SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT) as u64;
        let mut signed = Vec::new();
        for duty in &duties.sync {
            let Some(key) = self.keys.secret(duty.validator_index) else { continue };
            let places = duty.validator_sync_committee_indices.iter();
            let subcommittees: BTreeSet<u64> = places.map(|place| place / subcommittee_size).collect();
            for subcommittee in subcommittees {
                let selection_proof = self.signer.sync_selection_proof(key, slot, subcommittee);
                if !is_sync_committee_aggregator(&selection_proof) {
                    continue;
                }
                let Ok(contribution) = self.beacon.contribution(slot, subcommittee, head) else { continue };
                let aggregator_index = duty.validator_index;
                let message = ContributionAndProof { aggregator_index, contribution, selection_proof };
                let purpose = crate::crypto::DOMAIN_CONTRIBUTION_AND_PROOF;
                let signature = self.signer.sign(key, &message, purpose, slot);
                signed.push(SignedContributionAndProof { message, signature });
            }
        }
        signed
    }

    fn fork(&self, slot: Slot) -> ForkName {
        self.signer.config.fork_name(compute_epoch_at_slot(slot)).unwrap_or_default()
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

async fn sleep_until(time_ms: u64) {
    let left = time_ms.saturating_sub(now_ms());
    if left > 0 {
        smol::Timer::after(Duration::from_millis(left)).await;
    }
}
