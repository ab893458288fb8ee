//! Another issuer, with keys that sign for these tests and for nothing else, and a server that publishes them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use url::Url;

pub(super) const RSA: &str = "-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCWZSL50tQpSzR6
V7rsTwF582+lgG2ACSalkvYXF5cMfsNFQtv00ZKchs2J6mqrS/dpHwYRjPqixFw3
KQnz8ARdC6+KfagoLc6CE02Q8CaCX6kHkXev9mEJbK38/1zFOC75b7gjHmGZxkxE
S7dTxubb4vXxbYM6c/lVxgcIjr7tDXmhD9B0iYbt/LU0dbUQWkPsAKc6Jm4stCbN
8SGMgo3FNJjMVwLGpxcBhEU46/tGJ8wSGzqj5/j2Gn/7ptOH8ELSVqPoQu9NhuYV
sXCxl0b1HPU/EUXPOflf3+c+P5JVtUcgevirOJq6K0FfkMsupY4NNoGSPSl0glZ4
sfAmB3sTAgMBAAECggEAMd0sgIo/X8WYi6vExQ7Y3XcyIDx5kcb28lTMlRF0OmdZ
FQC67uwBYTZstXpsjYjtagQoPe9xNkBGlt9bdm6w86ypMhDBjTjKzGPcBt8o1Xck
EudPOJ9GwxougcClIJqlMHyzH6m2EIcnyEkWaod7CZKxmq+Fn/7Nv3ud3198vBmG
YhICgsI3Gxu/Pf9T7gCm7rJR3Gcp+tqGrVttYvbvxx3p90q4ljCnQ2/GzclV2cUF
c2TpRXeeHk6+MVQxZsbPMoNGbaGJJOlmPW2vjC7OrYyWNuSLKPCbjsOkIAyQHvrj
Bq9OHtdtBodnuFBSfnd/AlWlFWm8VbdGuyd72LCbIQKBgQDOCwk4zATSuti6ydjT
i6x0q07LFpO+5nZyvEqsbl8C1Pq3zpN6GpreGykIGHXp5ev/Wxmg253lB+2pN+Is
hvB2sbL0R61ob5Gy1dqZT8T/1ecSSvsEq1lbO81PpBeGN6XrmRarjXutaA50Ib2Y
Ryo93L/vhdFwhd+aQz3ZIuS/YwKBgQC63A/kmBkj94oqrSvouYMXNb8tn32LTib4
fEV/tGVqg90TOaEWExX41L4bMIGGFQWmO0vdBtOqvwDybUOQ1Nz+wrMz9UUV4JQk
ejembnt5M2miNWH/PZZda7mtuDz+KWfNFXwFCQgPJVyAVdLJ6/5+mT1y68/PIoys
yyWE5WrckQKBgA1SH1WBsyoglFR3KkJ6/DpKvPxaSFEGO1AtpjJBrHjVZiQuAdDa
GXsUjHGOi0kE6V4H+L8yk6G0AoR3LXMtgixaTrSGUcq3s9a5Brn0s0rK/HZtTI8/
uLYyRpLIjBDMVjjGG/YZXo6WdKDDcat/plZ7iBknMKQys4MYp836+Ij7AoGAdjj0
9TQl89OR3x5hQYTdo7mlkz/tNk3j6iL19a403AdBwAAeItFAfYZcIOe3ixWR1XJ+
tQC0urrN5pOqw99pUuXsa1sqsoS8Nbf9rZcJF82nb7FGpy5YDBM0Du0Z6dRYkDCf
nq/wIWUJ+UhTbN2azo41ipgXin3Zcxm0Szi7O4ECgYAkw8+Xd8L35XifeBcSJLio
FBK89icrY4ASip7PiHtvTbk8myPS5blapWePLF0VFEcFkOSyJ/iDYvjbGdlWDZNU
mbP/s5Il0+P/Z/VzTRfPRDxMJ5xqSNtO52Kh4Mi1eie4MowZc1CBcM54JjbQvr8p
3ApoBFa1hnx1ltvKv/KmVQ==
-----END PRIVATE KEY-----";
pub(super) const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlmUi+dLUKUs0ele67E8B
efNvpYBtgAkmpZL2FxeXDH7DRULb9NGSnIbNiepqq0v3aR8GEYz6osRcNykJ8/AE
XQuvin2oKC3OghNNkPAmgl+pB5F3r/ZhCWyt/P9cxTgu+W+4Ix5hmcZMREu3U8bm
2+L18W2DOnP5VcYHCI6+7Q15oQ/QdImG7fy1NHW1EFpD7ACnOiZuLLQmzfEhjIKN
xTSYzFcCxqcXAYRFOOv7RifMEhs6o+f49hp/+6bTh/BC0laj6ELvTYbmFbFwsZdG
9Rz1PxFFzzn5X9/nPj+SVbVHIHr4qziauitBX5DLLqWODTaBkj0pdIJWeLHwJgd7
EwIDAQAB
-----END PUBLIC KEY-----";
pub(super) const P256: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgK5yUAUG0MTZtgBiq
WCV3cm1mpSyvVG/dpgeWjIB/EzKhRANCAAT3JDDcBe4e1YPP+9g0aZcpLoF/kTnC
riw14evdXxIYX+PHBKV7gUzo6M/y5T9JtqAxAGx7op/xkjtnh+20LCCL
-----END PRIVATE KEY-----";
pub(super) const P256_NEXT: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYQ/AtEjUXt0NwJ0e
SWsShn7E9vS292J2luv4WEZAzy2hRANCAAR9czS8Q7oB12ogTCuJ5ajVdUabJArb
cSa76jmJYW14M/pOVVIz8SodbUdmWEKILfFplAtI1ZOnnEJqHM3yZ9HP
-----END PRIVATE KEY-----";
pub(super) const P384: &str = "-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAd1c1h37pLebT7ZZoI
LMmUFy2435qMo1vJ99+Q6NyBc5jzzJYrlGOmp+5WLCoYH46hZANiAARuXEX+uBsv
xqwBgPc2mX+4s8sWOys2GeUN9b7SXod3xyM85UCclsSZ7xqZoOfx8TudQshNV5Ih
EPZsq7tCLisS+zE5XejRHrvmj8jAzzf3kFJ7/gcMks5oxqbXtWhIQH4=
-----END PRIVATE KEY-----";
pub(super) const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINGe4ul/6PC02jhOcQORPB0I3dI3UFbQAVTUv/vi5ru0
-----END PRIVATE KEY-----";

/// A private key, for algorithms of this kind.
pub(super) fn key(pem: &str, algorithm: Algorithm) -> EncodingKey {
    let pem = pem.as_bytes();
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem).unwrap(),
        _ => EncodingKey::from_rsa_pem(pem).unwrap(),
    }
}

/// The public half, as it stands in a set.
pub(super) fn jwk(id: &str, pem: &str, algorithm: Algorithm) -> Value {
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&key(pem, algorithm), algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(id);
    jwk
}

pub(super) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Answers every request with this, and counts them.
pub(super) fn serve(answer: String) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let _head = stream.read(&mut [0; 4096]);
            let _gone = stream.write_all(answer.as_bytes());
        }
    });
    (url, count)
}

/// An answer over HTTP.
pub(super) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
