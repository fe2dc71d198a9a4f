//! Second bytes of markers (T.81 table B.1).

pub(super) const TEM: u8 = 0x01;
pub(super) const SOF0: u8 = 0xc0;
pub(super) const SOF1: u8 = 0xc1;
pub(super) const SOF2: u8 = 0xc2;
pub(super) const SOF3: u8 = 0xc3;
pub(super) const DHT: u8 = 0xc4;
pub(super) const SOF5: u8 = 0xc5;
pub(super) const SOF6: u8 = 0xc6;
pub(super) const SOF7: u8 = 0xc7;
pub(super) const JPG: u8 = 0xc8;
pub(super) const SOF11: u8 = 0xcb;
pub(super) const SOF15: u8 = 0xcf;
pub(super) const RST0: u8 = 0xd0;
pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
pub(super) const DQT: u8 = 0xdb;
pub(super) const DNL: u8 = 0xdc;
pub(super) const DRI: u8 = 0xdd;
pub(super) const DHP: u8 = 0xde;
pub(super) const EXP: u8 = 0xdf;
pub(super) const APP0: u8 = 0xe0;
pub(super) const APP14: u8 = 0xee;
pub(super) const COM: u8 = 0xfe;
