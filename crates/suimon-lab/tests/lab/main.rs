//! Tests of the lab as its users see it; other programs and captures serve as oracles.

#[cfg(test)]
mod captures;
#[cfg(test)]
mod common;
#[cfg(test)]
mod export;
#[cfg(test)]
mod router;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod synthesis;
