//! Figures: what a recovery takes, what those who read nothing cost the others, what hostile peers cost a node, what the
//! sweep costs.
//!
//! Each is a program that measures and prints rows of a table, on two nodes of its own. None judges its figures; each fails
//! if a message was lost or came twice.

mod bounds;
mod bystanders;
mod crowd;
mod hostile;
mod idle;
mod machine;
mod relay;
mod spread;
mod sweep;
mod talk;

pub(crate) use self::bounds::bounds;
pub(crate) use self::bystanders::bystanders;
pub(crate) use self::hostile::hostile;
pub(crate) use self::sweep::sweep;
