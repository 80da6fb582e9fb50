//! The whole stack on loopback ports: the stand-in Maskinporten, the control plane, the sample API, and gateways.
//!
//! The programs are the real ones, as processes of their own; everything is registered over the HTTP APIs that anybody
//! would use. Nothing here reaches into a database or shares a type with the programs it starts.
//!
//! Where to look next: `platform` starts and registers, `control_plane` and `standin` are the two programs, `caller` is
//! how their APIs are called, `gateway` starts an Envoy, `in_force` is what the operator sees of it, `cast` says who is who.

pub mod caller;
pub mod cast;
pub mod control_plane;
pub mod gateway;
pub mod in_force;
pub mod platform;
pub mod postgres;
pub mod programs;
pub mod standin;

pub use caller::{Answer, ApiCaller, Body};
pub use control_plane::{ControlPlane, Storage};
pub use gateway::{Gateway, GatewayOptions};
pub use in_force::InForce;
pub use platform::{Platform, PlatformOptions};
pub use postgres::PostgresDatabase;
pub use programs::Programs;
pub use standin::Standin;
