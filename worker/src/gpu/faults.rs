//! Where the device's errors go: caught by a scope around each step, or noted by handlers that never panic.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error::GpuError;

/// What went wrong outside any scope.
#[derive(Default)]
pub(super) struct Faults {
    lost: Mutex<Option<String>>,
    uncaught: Mutex<Option<GpuError>>,
}

impl Faults {
    /// Sets the handlers of `device`.
    pub(super) fn watch(device: &wgpu::Device) -> Arc<Self> {
        let faults = Arc::new(Self::default());
        let noted = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            let text = if message.is_empty() { format!("{reason:?}") } else { message };
            noted.lost.lock().get_or_insert(text);
        });
        let noted = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            noted.uncaught.lock().get_or_insert(error_of(&error));
        }));
        faults
    }

    /// What has gone wrong since the last call; a lost device stays lost.
    pub(super) fn take(&self) -> Option<GpuError> {
        let uncaught = self.uncaught.lock().take();
        self.lost.lock().clone().map(GpuError::DeviceLost).or(uncaught)
    }

    /// Runs `work` and gives what went wrong in it. Scopes belong to the thread, so `work` stays on this one.
    pub(super) fn scope<T>(&self, device: &wgpu::Device, work: impl FnOnce() -> T) -> Result<T, GpuError> {
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let value = work();
        // Innermost first. Running out of memory is the cause of whatever follows from it.
        let memory = pollster::block_on(memory.pop());
        let validation = pollster::block_on(validation.pop());
        let internal = pollster::block_on(internal.pop());
        let caught = memory.or(validation).or(internal);
        match self.take().or(caught.as_ref().map(error_of)) {
            Some(error) => Err(error),
            None => Ok(value),
        }
    }
}

fn error_of(error: &wgpu::Error) -> GpuError {
    let text = one_line(&error.to_string());
    match error {
        wgpu::Error::OutOfMemory { source } => GpuError::OutOfMemory(one_line(&source.to_string())),
        wgpu::Error::Validation { .. } => GpuError::Validation(text),
        wgpu::Error::Internal { .. } => GpuError::Internal(text),
    }
}

/// The library indents a chain of causes below a headline; this is the chain alone.
fn one_line(text: &str) -> String {
    let causes = text.split_once("Caused by:").map_or(text, |(_, causes)| causes);
    causes.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}
