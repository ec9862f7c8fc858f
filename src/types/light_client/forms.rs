//! The forms that the forks give what light clients are given: which fields, in which order.

use serde::{Serialize, Serializer};
use ssz::DecodeError;

use super::{
    codec::{self, Field, Kind, Part, Parts},
    *,
};

impl LightClientHeader {
    /// Decodes `fork_name`'s form.
    pub fn from_ssz_bytes(fork_name: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut parts = Parts::split(fork_name, bytes, Kind::of_header(fork_name))?;
        let mut header = LightClientHeader { beacon: parts.plain()?, ..Default::default() };
        if fork_name >= ForkName::Capella {
            header.execution = parts.execution()?;
            header.execution_branch = parts.branch()?;
        }
        Ok(header)
    }

    /// SSZ in `fork_name`'s form.
    pub fn to_ssz_bytes(&self, fork_name: ForkName) -> Vec<u8> {
        codec::to_ssz_bytes(fork_name, &self.fields(fork_name))
    }

    /// The root in `fork_name`'s form.
    pub fn hash_tree_root(&self, fork_name: ForkName) -> Hash256 {
        codec::hash_tree_root(fork_name, &self.fields(fork_name))
    }

    /// What to write as text, in `fork_name`'s form.
    pub fn as_text(&self, fork_name: ForkName) -> impl Serialize {
        codec::Text(fork_name, Part::Header(self))
    }

    pub(super) fn fields(&self, fork_name: ForkName) -> Vec<Field<'_>> {
        let mut fields = vec![("beacon", Part::Beacon(&self.beacon))];
        if fork_name >= ForkName::Capella {
            fields.push(("execution", Part::Execution(&self.execution)));
            fields.push(("execution_branch", Part::Branch(&self.execution_branch)));
        }
        fields
    }
}

impl LightClientBootstrap {
    /// Decodes `fork_name`'s form.
    pub fn from_ssz_bytes(fork_name: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let kinds = [Kind::Header, Kind::SyncCommittee, Kind::Branch(6)];
        let mut parts = Parts::split(fork_name, bytes, &kinds)?;
        Ok(LightClientBootstrap {
            fork_name,
            header: parts.header()?,
            current_sync_committee: parts.sync_committee()?,
            current_sync_committee_branch: parts.branch()?,
        })
    }

    /// SSZ in the form of `self.fork_name`.
    pub fn to_ssz_bytes(&self) -> Vec<u8> {
        codec::to_ssz_bytes(self.fork_name, &self.fields())
    }

    /// The root in the form of `self.fork_name`.
    pub fn hash_tree_root(&self) -> Hash256 {
        codec::hash_tree_root(self.fork_name, &self.fields())
    }

    fn fields(&self) -> Vec<Field<'_>> {
        vec![
            ("header", Part::Header(&self.header)),
            ("current_sync_committee", Part::SyncCommittee(&self.current_sync_committee)),
            ("current_sync_committee_branch", Part::Branch(&self.current_sync_committee_branch)),
        ]
    }
}

impl Serialize for LightClientBootstrap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::serialize(self.fork_name, &self.fields(), serializer)
    }
}

impl LightClientUpdate {
    /// Decodes `fork_name`'s form.
    pub fn from_ssz_bytes(fork_name: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let kinds = [
            Kind::Header,
            Kind::SyncCommittee,
            Kind::Branch(6),
            Kind::Header,
            Kind::Branch(7),
            Kind::SyncAggregate,
            Kind::Slot,
        ];
        let mut parts = Parts::split(fork_name, bytes, &kinds)?;
        Ok(LightClientUpdate {
            fork_name,
            attested_header: parts.header()?,
            next_sync_committee: parts.sync_committee()?,
            next_sync_committee_branch: parts.branch()?,
            finalized_header: parts.header()?,
            finality_branch: parts.branch()?,
            sync_aggregate: parts.plain()?,
            signature_slot: parts.plain()?,
        })
    }

    /// SSZ in the form of `self.fork_name`.
    pub fn to_ssz_bytes(&self) -> Vec<u8> {
        codec::to_ssz_bytes(self.fork_name, &self.fields())
    }

    /// The root in the form of `self.fork_name`.
    pub fn hash_tree_root(&self) -> Hash256 {
        codec::hash_tree_root(self.fork_name, &self.fields())
    }

    fn fields(&self) -> Vec<Field<'_>> {
        vec![
            ("attested_header", Part::Header(&self.attested_header)),
            ("next_sync_committee", Part::SyncCommittee(&self.next_sync_committee)),
            ("next_sync_committee_branch", Part::Branch(&self.next_sync_committee_branch)),
            ("finalized_header", Part::Header(&self.finalized_header)),
            ("finality_branch", Part::Branch(&self.finality_branch)),
            ("sync_aggregate", Part::SyncAggregate(&self.sync_aggregate)),
            ("signature_slot", Part::Slot(self.signature_slot)),
        ]
    }
}

impl Serialize for LightClientUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::serialize(self.fork_name, &self.fields(), serializer)
    }
}

impl LightClientFinalityUpdate {
    /// Decodes `fork_name`'s form.
    pub fn from_ssz_bytes(fork_name: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let kinds = [Kind::Header, Kind::Header, Kind::Branch(7), Kind::SyncAggregate, Kind::Slot];
        let mut parts = Parts::split(fork_name, bytes, &kinds)?;
        Ok(LightClientFinalityUpdate {
            fork_name,
            attested_header: parts.header()?,
            finalized_header: parts.header()?,
            finality_branch: parts.branch()?,
            sync_aggregate: parts.plain()?,
            signature_slot: parts.plain()?,
        })
    }

    /// SSZ in the form of `self.fork_name`.
    pub fn to_ssz_bytes(&self) -> Vec<u8> {
        codec::to_ssz_bytes(self.fork_name, &self.fields())
    }

    /// The root in the form of `self.fork_name`.
    pub fn hash_tree_root(&self) -> Hash256 {
        codec::hash_tree_root(self.fork_name, &self.fields())
    }

    fn fields(&self) -> Vec<Field<'_>> {
        vec![
            ("attested_header", Part::Header(&self.attested_header)),
            ("finalized_header", Part::Header(&self.finalized_header)),
            ("finality_branch", Part::Branch(&self.finality_branch)),
            ("sync_aggregate", Part::SyncAggregate(&self.sync_aggregate)),
            ("signature_slot", Part::Slot(self.signature_slot)),
        ]
    }
}

impl Serialize for LightClientFinalityUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::serialize(self.fork_name, &self.fields(), serializer)
    }
}

impl LightClientOptimisticUpdate {
    /// Decodes `fork_name`'s form.
    pub fn from_ssz_bytes(fork_name: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        let kinds = [Kind::Header, Kind::SyncAggregate, Kind::Slot];
        let mut parts = Parts::split(fork_name, bytes, &kinds)?;
        Ok(LightClientOptimisticUpdate {
            fork_name,
            attested_header: parts.header()?,
            sync_aggregate: parts.plain()?,
            signature_slot: parts.plain()?,
        })
    }

    /// SSZ in the form of `self.fork_name`.
    pub fn to_ssz_bytes(&self) -> Vec<u8> {
        codec::to_ssz_bytes(self.fork_name, &self.fields())
    }

    /// The root in the form of `self.fork_name`.
    pub fn hash_tree_root(&self) -> Hash256 {
        codec::hash_tree_root(self.fork_name, &self.fields())
    }

    fn fields(&self) -> Vec<Field<'_>> {
        vec![
            ("attested_header", Part::Header(&self.attested_header)),
            ("sync_aggregate", Part::SyncAggregate(&self.sync_aggregate)),
            ("signature_slot", Part::Slot(self.signature_slot)),
        ]
    }
}

impl Serialize for LightClientOptimisticUpdate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::serialize(self.fork_name, &self.fields(), serializer)
    }
}
