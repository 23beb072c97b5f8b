//! Looking inside: frames between a host and a worker shown, recorded, and driven again. They are never changed on the way.
