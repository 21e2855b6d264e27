use floret_model::Digest;

/// Where a generation of a blob is: `cas/sha256/<2 digits>/<digest>.<generation>`.
pub fn blob_path(digest: &Digest, generation: u64) -> String {
    let digits = digest.to_string();
    format!("cas/sha256/{}/{digits}.{generation}", &digits[..2])
}
