//! Reading many private keys. OpenSSL looks all its decoders up anew for each key, which takes ten times as long as the
//! reading; here they are looked up once.

use std::ptr;

use foreign_types_shared::ForeignType;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};

use super::ffi;
use crate::tls::pem;

const KIND: &[u8] = b"PRIVATE KEY";
const OLD_ENCRYPTION: &[u8] = b"Proc-Type";

pub struct KeyReader {
    context: *mut openssl_sys::OSSL_DECODER_CTX,
    /// Where OpenSSL leaves a key; the context points here.
    made: Box<*mut openssl_sys::EVP_PKEY>,
}

impl Default for KeyReader {
    fn default() -> KeyReader {
        let mut made = Box::new(ptr::null_mut());
        // SAFETY: the names are constants; the place for keys stays where it is until the context is freed.
        let context = unsafe {
            openssl_sys::OSSL_DECODER_CTX_new_for_pkey(
                &mut *made,
                c"PEM".as_ptr(),
                ptr::null(),
                ptr::null(),
                ffi::KEYPAIR,
                ptr::null_mut(),
                ptr::null(),
            )
        };
        KeyReader { context, made }
    }
}

impl KeyReader {
    /// The first private key in PEM that no password protects. `None` says nothing about the reason: whoever wants it
    /// tries in the usual way.
    pub fn read(&mut self, pem: &[u8]) -> Option<PKey<Private>> {
        let block = private_block(pem)?;
        if self.context.is_null() {
            return None;
        }
        let (mut data, mut length) = (block.as_ptr(), block.len());
        *self.made = ptr::null_mut();
        // SAFETY: the context is ours, and `length` bytes are at `data`.
        let done =
            unsafe { openssl_sys::OSSL_DECODER_from_data(self.context, &mut data, &mut length) };
        let key = std::mem::replace(&mut *self.made, ptr::null_mut());
        // SAFETY: a key that was made is ours, with one reference.
        let key = (!key.is_null()).then(|| unsafe { PKey::from_ptr(key) });
        if done != 1 {
            drop(ErrorStack::get());
            return None;
        }
        key
    }
}

impl Drop for KeyReader {
    fn drop(&mut self) {
        // SAFETY: made in `new`, used nowhere else; null is allowed.
        unsafe { openssl_sys::OSSL_DECODER_CTX_free(self.context) };
    }
}

/// The first private key, if it is not encrypted.
fn private_block(pem: &[u8]) -> Option<&[u8]> {
    let block = pem::blocks(pem).find(|block| block.label.ends_with(KIND))?;
    let mut lines = block.text.split(|&byte| byte == b'\n');
    let is_plain = !block.label.starts_with(b"ENCRYPTED")
        && !lines.any(|line| line.starts_with(OLD_ENCRYPTION));
    is_plain.then_some(block.text)
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    use super::*;

    fn keys() -> Vec<PKey<Private>> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        vec![
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(),
            PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            PKey::generate_ed25519().unwrap(),
        ]
    }

    #[test]
    fn one_reader_reads_keys_of_all_kinds_and_goes_on_after_a_bad_one() {
        let mut reader = KeyReader::default();
        for key in keys() {
            let mut pem =
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
            pem.extend(key.private_key_to_pem_pkcs8().unwrap());
            let read = reader.read(&pem).unwrap();
            assert!(read.public_eq(&key));
            assert!(reader.read(&pem[..pem.len() - 80]).is_none());
            assert!(reader.read(b"once upon a time").is_none());
            let read = reader.read(&pem).unwrap();
            let (one, other) = (key.private_key_to_der(), read.private_key_to_der());
            assert_eq!(one.unwrap(), other.unwrap());
        }
        let rsa = Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
        assert!(reader.read(&rsa).is_some());
    }

    #[test]
    fn an_encrypted_key_is_left_to_others() {
        let key = &keys()[0];
        let cipher = Cipher::aes_128_cbc();
        let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, b"word");
        assert!(KeyReader::default().read(&pem.unwrap()).is_none());
    }
}
