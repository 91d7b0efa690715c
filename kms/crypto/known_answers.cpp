// SPDX-License-Identifier: Apache-2.0
// The published vectors that the program carries.
#include "kms/crypto/self_test.h"

namespace kms {

namespace {

constexpr AeadAnswer kAeadAnswers[] = {
    {.source = "McGrew and Viega, GCM, test case 4",
     .algorithm = AeadAlgorithm::kAes128Gcm,
     .key = "feffe9928665731c6d6a8f9467308308",
     .nonce = "cafebabefacedbaddecaf888",
     .associated_data = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     .plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     .sealed = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
               "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
               "5bc94fbc3221a5db94fae95ae7121a47"},
    {.source = "McGrew and Viega, GCM, test case 16",
     .algorithm = AeadAlgorithm::kAes256Gcm,
     .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     .nonce = "cafebabefacedbaddecaf888",
     .associated_data = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     .plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     .sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
               "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
               "76fc6ece0f4e1768cddf8853bb2d551b"},
    {.source = "RFC 8439 section 2.8.2",
     .algorithm = AeadAlgorithm::kChaCha20Poly1305,
     .key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     .nonce = "070000004041424344454647",
     .associated_data = "50515253c0c1c2c3c4c5c6c7",
     .plaintext = "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
                  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
                  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
                  "637265656e20776f756c642062652069742e",
     .sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
               "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
               "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
               "3ff4def08e4b7a9de576d26586cec64b6116"
               "1ae10b594f09e26a7e902ecbd0600691"},
    {.source = "draft-irtf-cfrg-xchacha-03 section A.3.1",
     .algorithm = AeadAlgorithm::kXChaCha20Poly1305,
     .key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     .nonce = "404142434445464748494a4b4c4d4e4f5051525354555657",
     .associated_data = "50515253c0c1c2c3c4c5c6c7",
     .plaintext = "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
                  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
                  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
                  "637265656e20776f756c642062652069742e",
     .sealed = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
               "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
               "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
               "21f9664c97637da9768812f615c68b13b52e"
               "c0875924c1c7987947deafd8780acf49"},
};

constexpr HkdfAnswer kHkdfAnswers[] = {
    {.source = "RFC 5869 test case 1",
     .input_key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     .salt = "000102030405060708090a0b0c",
     .info = "f0f1f2f3f4f5f6f7f8f9",
     .output = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
               "34007208d5b887185865"},
};

constexpr DigestAnswer kDigestAnswers[] = {
    {.source = "FIPS 180-2 appendix B.1",
     .message = "616263",
     .sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
};

constexpr SignatureAnswer kSignatureAnswers[] = {
    {.source = "RFC 6979 section A.2.5",
     .algorithm = AsymmetricAlgorithm::kEcdsaP256,
     .marshaling = SignatureMarshaling::kJws,
     .public_key = "3059301306072a8648ce3d020106082a8648ce3d0301070342000460fed4ba25"
                   "5a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008"
                   "b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
     .message = "73616d706c65",
     .signature = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                  "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {.source = "Wycheproof rsa_pss_2048_sha256_mgf1_32, test 2",
     .algorithm = AsymmetricAlgorithm::kRsa2048,
     .marshaling = SignatureMarshaling::kAsn1,
     .public_key = "30820122300d06092a864886f70d01010105000382010f003082010a02820101"
                   "00a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094fa1fee82224"
                   "e637f9746d3f7cafd31878d80325b6ef5a1700f65903b469429e89d6eac88450"
                   "97b5ab393189db92512ed8a7711a1253facd20f79c15e8247f3d3e42e46e48c9"
                   "8e254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed81299615d9"
                   "814c22da610428e09c7d9658594266f5c021d0fceca08d945a12be82de4d1ece"
                   "6b4c03145b5d3495d4ed5411eb878daf05fd7afc3e09ada0f1126422f590975a"
                   "1969816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c4e5ac0f7c1"
                   "a45d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf7820283f742b9"
                   "d50203010001",
     .message = "0000000000000000000000000000000000000000",
     .signature = "0658c68fe0895646056d9bca422a64fe48813b4e14f0c8c4122e56d345b6813d"
                  "c6286ffde014617e351c7af0a0d2c0f285def79cb734e1e055a25fa6fddc1c07"
                  "da17b4b235c637413b1849c24311fa72331f4c0458c364a4916de8619b884d7e"
                  "37288fad12926fc091f4851686a04fd0a504dbce3db370663a6ea6128fea86c2"
                  "ca94c63e0d34d7f2c845b5d71d9a5e544451f524a451acb85c49bba7864e0a34"
                  "a48613a819caf3dfd0d510c940f1df21c3373915be1f3509a557fa4d5a4e9f27"
                  "3e85467961133e2482c0907386454228fb0246638616fc31bbb6fa7c2361b803"
                  "5994eec69a923f4c0bb0ba8696dfe8b1400c2398d7b343fdf498b1116c8de602"},
};

constexpr Ed25519Answer kEd25519Answers[] = {
    {.source = "RFC 8032 section 7.1, test 3",
     .seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     .public_key = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
     .message = "af82",
     .signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

constexpr OaepAnswer kOaepAnswers[] = {
    {.source = "Wycheproof rsa_oaep_2048_sha256_mgf1sha256, test 2",
     .algorithm = AsymmetricAlgorithm::kRsa2048,
     .private_key = "308204bd020100300d06092a864886f70d0101010500048204a7308204a30201"
                    "000282010100a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094f"
                    "a1fee82224e637f9746d3f7cafd31878d80325b6ef5a1700f65903b469429e89"
                    "d6eac8845097b5ab393189db92512ed8a7711a1253facd20f79c15e8247f3d3e"
                    "42e46e48c98e254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed"
                    "81299615d9814c22da610428e09c7d9658594266f5c021d0fceca08d945a12be"
                    "82de4d1ece6b4c03145b5d3495d4ed5411eb878daf05fd7afc3e09ada0f11264"
                    "22f590975a1969816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c"
                    "4e5ac0f7c1a45d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf782"
                    "0283f742b9d502030100010282010024cdc62317f5d72a6f6ba6cc9632899b01"
                    "d1ff28867d72f61688995bc855a4e420a8405250089bdb13cf8e09543827b748"
                    "b9d27fbb2b4d9e20af8c5a6a862796d1a4cc18ad16ea678bc1bd4a83bbbe9c5e"
                    "57453b5ce7388e41a3ba4ce2b77b4438a229e954f720dae0353dc088ac8a76b2"
                    "6dc276f8e1b7851ddd6398ad16ff2e78195123b9b036e945c38c9d12434f6df7"
                    "6fe22359eb3e1ac9c011678fc926fad3ae475a4fffff55feb2d147e9c894f4c0"
                    "e29a599e762462482d968bf42780945fc0d2c31c573c4431b8f4fe8b8c67bec8"
                    "15abd44f7a86edca1c2308737358d2c2ae5e2e0e2dadf730980262377e58b13b"
                    "7d9992060a0bc870ccfdb4a9319ee102818100dc431050f782e894fb5248247d"
                    "98cb7d58b8d1e24f3b55d041c56e4de086b0d5bb028bda42eeb5d234d5681e58"
                    "09d415e6a289ad4cfbf78f978f6c35814f50eebff1c5b80a69f788e81e6bab5d"
                    "daa78369d659d143ec6f17e79813a575cfad9c569156b90113e2e9110ad9e7b4"
                    "8a1c9348a6e653321191290ea36cfb3a5b18f102818100bd1a81e7977f989812"
                    "2273ae3222b598ea5fb19eb4eabc38308a5e32196603b2e500ffb79f5b886816"
                    "611debc472fac45544070beb057c941378a6868af3b7a03d3f9880ec47d5e089"
                    "b94fbde542aba9ae8d72c57088d7abf5b131f39098f7bc160f90536abc9492fd"
                    "4e06f3ed7299d4b97bb03677207d95669f140cfbc20f2502818100a94b528b28"
                    "f291599121d91952ffd1c7f21d7c1479d99d478885fb161870ee1218bf084726"
                    "12dbe5497e8d9c650688e09c786961ae3e2c354dc48ae34514759c4c23c45884"
                    "88961dc06b414e61c0e1e7fbbd2923d31532fe289f96da220711e58c14019808"
                    "e00414276933bb07e4efb9b4a9b37656917205209f33f09515d7c10281803af0"
                    "e72a933aef09ff2503df78bafed531c02ff1a2bc437c540cdcbd4ad35435cf51"
                    "1763596543480629b114ca7f780ff7efa32ea0cb6e000d6d9ea1f2ef71fd9cf9"
                    "948422a165557e37e755edfe70d90b920502eb478bc98a63f788ce3a0f856d6e"
                    "de7251a383bfa8fa480a81a925af7b3cc538c4bab8c9f7597ffb68011d8d0281"
                    "802640fbfbcfefb163ee7a87b6483a66ee41f956d90fa8a7939bfc042ee0924b"
                    "1b7993d0445f758d51933e85179c0320b0c968b48a91c38b5be923e1097c0c56"
                    "2f88d42294b6a2759bafa5428a74f1270874e45f6fcc60f21602de5eccd143cf"
                    "31241f5921b5ad3983fb54ef17be3b285367e50c999c67247b552fe4bfce945f"
                    "7b",
     .ciphertext = "207180c340658b5154ae45d2e4e7326a0997c683a26b595e536a29333c4b6614"
                   "9af85e029d5419a39e3a147b221516ffd86b6b4b66c3e0c4c49fe8c57a2f5c37"
                   "b8704b9b592b80db9cd788a4ed51ab4f0a1cbed63bd18d1f06a22f225866b0c2"
                   "c417cb23473b7ba4250b1353bd2e5b4f0f937cd2efe5fa38db3c295f7748b970"
                   "088657db4aa9a76e1ee6fbff166ec1861d00d085326c7384bdd1bc2f400d4f74"
                   "dbdfadaf3fdc46073e668573e02030b9eb5af58eb540c66677a771194479ec00"
                   "98d858a2ea45d0ba1e6b32440dfbac745000554d51a17684ca964b02a74d479f"
                   "1d432ef763ef4059715a4348cfe36a215359712f25b6977903be4adb92febbf6",
     .plaintext = "0000000000000000000000000000000000000000"},
};

}  // namespace

KnownAnswers PublishedAnswers() {
  return {.aead = kAeadAnswers,
          .hkdf = kHkdfAnswers,
          .digest = kDigestAnswers,
          .signature = kSignatureAnswers,
          .ed25519 = kEd25519Answers,
          .oaep = kOaepAnswers};
}

}  // namespace kms
