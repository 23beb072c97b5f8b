//! Scripted workers for people who write hosts: each does one thing wrong, or late, or not at all.
