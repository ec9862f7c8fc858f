//! Answers what the chain asks of the execution client, from the stand-in.

use async_channel::{Receiver, Sender};

use crate::{
    chain::{ExecutionCommand, PayloadVerdict},
    engine::Engine,
};

/// Payloads that wait to be judged: block tasks are few.
const COMMANDS: usize = 16;

/// A queue that is answered by `engine`, and who answers it. Without an engine there is nobody to ask.
pub fn queue(engine: Engine) -> Option<(Sender<ExecutionCommand>, impl Future<Output = ()> + Send)> {
    let (sender, commands) = async_channel::bounded(COMMANDS);
    (!matches!(engine, Engine::None)).then(|| (sender, answer(engine, commands)))
}

async fn answer(engine: Engine, commands: Receiver<ExecutionCommand>) {
    while let Ok(command) = commands.recv().await {
        if let ExecutionCommand::NewPayload { block, reply } = command {
            let body = &block.message.body;
            let status = match engine.judge_payload(&body.execution_payload, &body.blob_kzg_commitments) {
                None => PayloadVerdict::Valid,
                Some(reason) => PayloadVerdict::Invalid(reason),
            };
            // The block task may have given up waiting.
            let _ = reply.try_send(status);
        }
    }
}
