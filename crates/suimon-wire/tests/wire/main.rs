//! Tests of the decoder from outside, in one program so that they link once.

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod common;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod encode;
#[cfg(test)]
mod files;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod peers;
