//! The course of a move, once it has been asked for: what its two hosts say and how they end, until the process is in one of them.

use super::{Common, Destination, Phase, Program, Watch, micros, undelivered};
use crate::error::RunError;
use crate::pager::Offer;
use crate::report::{Activation, Migration};
use maize_abi::control::Kind;

impl Program {
    /// The destination has something to say.
    pub(crate) fn hear_destination(&mut self, common: &mut Common<'_>) -> Result<(), RunError> {
        let Some(next) = &mut self.next else { return Ok(()) };
        let Some(heard) = next.host.receive() else { return Ok(()) };
        match (heard.message.kind(), &mut next.phase) {
            (Some(Kind::Ready), Phase::Starting) => {
                next.phase = Phase::Ready;
                next.offer = Offer::new(heard.descriptors);
            }
            (Some(Kind::Absent), Phase::Asked(request)) => {
                request.absent.hear(heard, &mut next.offer)?;
            }
            (Some(Kind::Arrived), Phase::Asked(request)) => {
                request.arrived = Some(heard.message);
                self.complete(common)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A host that dies before the move was asked for is an error. Later the source notices on the transfer socket,
    /// stays, and says so.
    pub(crate) fn destination_ended(&mut self, common: &mut Common<'_>) -> Result<(), RunError> {
        // Its last words may not have been heard.
        if let Some(next) = &mut self.next
            && let Phase::Asked(request) = &mut next.phase
        {
            while request.arrived.is_none()
                && let Some(heard) = next.host.receive()
            {
                request.arrived = (heard.message.kind() == Some(Kind::Arrived)).then_some(heard.message);
            }
            request.dead = true;
            return self.complete(common);
        }
        match self.next.take() {
            Some(Destination { host, .. }) => {
                let error = RunError::NotReady { isa: host.isa };
                host.discard();
                if self.fail_order(&error.to_string()) { Ok(()) } else { Err(error) }
            }
            None => Ok(()),
        }
    }

    /// The host that the process is in, or that it has left, has ended. Whether the process has, too.
    pub(crate) fn source_ended(&mut self, common: &mut Common<'_>) -> Result<bool, RunError> {
        let is_between = self.is_between();
        if let Some(Destination { phase: Phase::Asked(request), .. }) = &mut self.next
            && is_between
        {
            request.source_gone = true;
            self.complete(common)?;
        }
        Ok(!is_between)
    }

    /// Ends a move whose source has left, when the destination has arrived or ended: it holds the process.
    pub(super) fn complete(&mut self, common: &mut Common<'_>) -> Result<(), RunError> {
        let is_complete = self.request().is_some_and(|request| {
            let has_left = request.departed.is_some() && (request.source_gone || request.behind);
            has_left && (request.arrived.is_some() || request.dead)
        });
        if !is_complete {
            return Ok(());
        }
        let Some(Destination { host, phase: Phase::Asked(request), .. }) = self.next.take() else { return Ok(()) };
        let source = std::mem::replace(&mut self.current, host);
        self.watch = Watch::default();
        let from = source.isa.name().to_owned();
        while let Some(heard) = source.receive() {
            if heard.message.kind() == Some(Kind::Undelivered) {
                self.returned.push(undelivered(&heard.message));
            }
        }
        match request.absent.pager {
            Some(pager) => self.leave_behind(source, pager, request.touched, request.arrived.is_some()),
            None => {
                if request.behind {
                    // The destination has ended before it could say what it needs; if it has not, it must not run on without.
                    self.current.kill();
                    source.kill();
                }
                self.add(source.wait()?.times);
            }
        }
        if let (Some(departed), Some(arrived)) = (request.departed, request.arrived) {
            let [frames, record_bytes, capture_ns, bytes_moved, suspended_at_ns, waited_ns, innermost, used_ns] =
                departed.values;
            let [resume_ns, pause_ns, arrived_ns, ..] = arrived.values;
            self.history.processor_ns += used_ns.saturating_sub(self.at_arrival_ns);
            self.at_arrival_ns = arrived_ns;
            let migration = Migration {
                from,
                to: self.current.isa.name().to_owned(),
                at_us: micros(request.at),
                wait_us: suspended_at_ns.saturating_sub(request.at_ns) / 1000,
                // Nobody called a process that waited for the order.
                wait_cpu_us: request.place.is_none().then_some(waited_ns as f64 / 1000.0),
                innermost: Activation::from_number(innermost),
                frames,
                record_bytes,
                capture_us: capture_ns as f64 / 1000.0,
                resume_us: resume_ns as f64 / 1000.0,
                pause_us: pause_ns as f64 / 1000.0,
                bytes_moved,
                fetched: None,
                place: request.place,
            };
            common.moved(self.id, &migration);
            self.note_arrival(&migration);
            self.history.migrations.push(migration);
        }
        if self.waits {
            self.current.draw_attention();
        }
        self.schedule(common.started.elapsed());
        self.deliver_held();
        Ok(())
    }
}
