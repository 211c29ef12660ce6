/*
 * Keys and tokens that another implementation made: what test_foreign.c expects of each. None of
 * the keys is anybody's.
 */
#ifndef PANG_TESTS_SERVER_FOREIGN_VECTORS_H
#define PANG_TESTS_SERVER_FOREIGN_VECTORS_H

static const char jwks[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"vm3J0GLHmkxEOPgIdruGRstgP2NAUJIwDzf86bOeEMWwhN_gb1hbv"
    "4MTZ8iqyVoKyJiOrwVBu8r_E5vD-dV3pxyGZL3s9SvqbXvJU7vA3FrABPQDZatCahSj8oLVoq6OSIdIh"
    "7SR3__B9J4U02Ikm0u-J7GyzTZe976Nsyip_urezm4Q21qycE4dZLJj8gHfrBwUhbim1EelK4ioKRskp"
    "p34Hc3rqyJjRwwp1KhxX8Uv6_AXhOA8hLEbY-sKd16s5mW3Za9xghes40BX53yoZ1l75W4tx-W5nJo6H"
    "Mwcf2DKwisjWO0rojun4ABdsaYlXsi3f-kN2ptQP0_4DTEkpQ\",\"e\":\"AQAB\",\"kid\":\"rsa\",\"use\":"
    "\"sig\"},{\"kty\":\"RSA\",\"n\":\"vm3J0GLHmkxEOPgIdruGRstgP2NAUJIwDzf86bOeEMWwhN_gb1hbv4M"
    "TZ8iqyVoKyJiOrwVBu8r_E5vD-dV3pxyGZL3s9SvqbXvJU7vA3FrABPQDZatCahSj8oLVoq6OSIdIh7S"
    "R3__B9J4U02Ikm0u-J7GyzTZe976Nsyip_urezm4Q21qycE4dZLJj8gHfrBwUhbim1EelK4ioKRskpp3"
    "4Hc3rqyJjRwwp1KhxX8Uv6_AXhOA8hLEbY-sKd16s5mW3Za9xghes40BX53yoZ1l75W4tx-W5nJo6HMw"
    "cf2DKwisjWO0rojun4ABdsaYlXsi3f-kN2ptQP0_4DTEkpQ\",\"e\":\"AQAB\",\"kid\":\"rs256\",\"alg\":"
    "\"RS256\"},{\"kty\":\"RSA\",\"n\":\"oSfkpPFLv83N7AgKVT9st58kvXszK7NfcNUOR_YjFxOylgXz2LR77"
    "236P99OYT1NBeuFW1Yw9hMlSuj86OmtwnZVHDGlE4iqOK2RDhoZ8YN1pynMwyxUPsN2fq5nPhFVhEnrU"
    "LLnjgaPuDjlleCv-wSCKManz-vtgl2uXj0RZi0\",\"e\":\"AQAB\",\"kid\":\"weak\"},{\"kty\":\"RSA\",\"n"
    "\":\"vm3J0GLHmkxEOPgIdruGRstgP2NAUJIwDzf86bOeEMWwhN_gb1hbv4MTZ8iqyVoKyJiOrwVBu8r_E"
    "5vD-dV3pxyGZL3s9SvqbXvJU7vA3FrABPQDZatCahSj8oLVoq6OSIdIh7SR3__B9J4U02Ikm0u-J7Gyz"
    "TZe976Nsyip_urezm4Q21qycE4dZLJj8gHfrBwUhbim1EelK4ioKRskpp34Hc3rqyJjRwwp1KhxX8Uv6"
    "_AXhOA8hLEbY-sKd16s5mW3Za9xghes40BX53yoZ1l75W4tx-W5nJo6HMwcf2DKwisjWO0rojun4ABds"
    "aYlXsi3f-kN2ptQP0_4DTEkpQ\",\"e\":\"AQAB\",\"kid\":\"enc\",\"use\":\"enc\"},{\"kty\":\"EC\","
    "\"crv\""
    ":\"P-256\",\"x\":\"uvRYEesNmXbQRmWLfjqEbHjOeRXvEhj7znPIJiZJdgY\",\"y\":\"h_tC6dEDefBSL3MJ"
    "iKAWFtda3iR7JKP1bDf8yRDMXmw\",\"kid\":\"p256\"},{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":"
    "\"0rX5fq"
    "qlWJ2YFlOtWmFzYhrlWrf4QnyfSOzXejCtrCeCi4jraE7KPcyoF9UXhhPs\",\"y\":\"DOg4l5RM5Vla0tA"
    "v-EN2mVmyk4Jzm5YG0VbEkbaWShkmjbkoq0yxmyJcOatFITa-\",\"kid\":\"p384\",\"alg\":\"ES384\"},{"
    "\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AV6CpcWuaVnPlPIFp9_zlRiWfrlUq6TwMwUUC5BmLEC6s5HFkj"
    "xxeO73qmi25N388eTrtvLg9vl-cfOrZeof1VU_\",\"y\":\"ADMTO35EPxkizUPKddk5tCW7IGD7LPx7Z9S"
    "2Pq4tR62DimVj_sBVetRnwvljAatDHpL3Ed_tgfSyp8QSWdJH7FKf\",\"kid\":\"p521\"},{\"kty\":\"oct"
    "\",\"kid\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":"
    "\"MTExMTExM"
    "TExMTExMTExMTExMTExMTExMTExMTExMTE\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"off\",\"x\":"
    "\""
    "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE\",\"y\":\"MjIyMjIyMjIyMjIyMjIyMjIyMjIyMj"
    "IyMjIyMjIyMjI\"}]}";

static const char *const good[] = {
    "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.KNDO"
    "Wfwj4oE4YVIdVRpwZOYzDOMeuKHQrF3COUtH7x7yuKVX-dTQuDVi__Y2b8shU-ggCzKh04R3SicK6ziU"
    "a0_3ggL4SUdg4uxxBHJNGcTnCnIkfAsvesv_6jteQ2DlSUVf6zfWKSzOvSXH6KHn-aCFhJdxVN7JxpEA"
    "xht710ViAMcNTXv_hlzvjIdes-9L9VlHHq_p52EO_jhqo_yyVBVOZr1i1TyFmmxaGkP3uQXC4QmCgEmn"
    "rh804YXwJXFbEqXs6O1ZUtcVZyQdUFfJ8NL2QdL6JMWIyT0yqEt7FrdzxKWrUi7lvj2YtSlHuPMC-RwL"
    "NKT08-5E2EPQdvwiJg",
    "eyJhbGciOiAiUlMzODQiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.U54f"
    "x5Om1D6BnABOnCgQQ-Ba043372hPDEm5Hdsh-g6OEHFYWFcBBMr4I_J5fEqCSxZ3DQ7q2dQkNwkxmSwJ"
    "jScmorvnnaAVWLYTrXRKK9q_08bASycH1c7INqiikCFe8zLxUHIsTPnj4l69ymRWYV9UMfqP-Lq_A8ZR"
    "eCvsGIWggtzHnCm7l-A8g-yc0vEuROMNN-MAjj5StlVoe4sTcBV8mK--iUZh5UA6xEd362hJUU9bQVWF"
    "JbAb-dlsIIsKELenWkbxyABt77zfoUlTNgbKx7i0JAheOHFrU6WvTTsJwbubO3mcCD4Lt6maFMtWcif7"
    "8vGpSHHG5BBzFtNyJw",
    "eyJhbGciOiAiUlM1MTIiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.lbvR"
    "tkkVe-6VNZFd98xMi7o1G9ghQT0jvVg752Su2wYd3kp7xxV-1Sj5faEqj-XBzyfPpmozshLvzHupJieS"
    "fPEh3u-fIu8ekBi5oh_6y_ek2ZPD3atcxokfyf0K80S_hLSv9i-i5rehhV9M7Bb0VwJxVvZJ7u2BCIc-"
    "C1uT0F21-hW81ajUEg1WDrGpU1gPuaw_MBO4EMi-lyuGkZ_L53p4FeM58jxPvRfwj-zbHGAiUd5l4-yo"
    "JtzeG6dFS6ndQQLyX380RNSziaWciKQaemuTeQgg1rHizmrWTjqe9NwbKZnFrdXHg6aTsboPRehFyeoR"
    "2kQhi7iGdzsO7govQw",
    "eyJhbGciOiAiUFMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.Kl67"
    "5gWphxcVcqKVK-cEAZHCFiWlhfCm_p0jNGw8eaTbgIWs6_aOf_Yop2OkwD18_tzQHD8cBM1gMjDWl1lo"
    "VxmqKYBV2iaJi774LWGtAOprjqe9V_oF8XWCmtksKyRSo8RarDGynaMN3FesGV57RD_Mbcg38FjiVsSX"
    "hZl2iR8Vaitp6ONvZR_001WeAGMUyQV3W_b2P360HuuUSvkemG1TCzCvNnpZijkah1rHZUSBFtYvWl_M"
    "k5QFbe6oPJJ7OQZm4WsWnNe2iVtcjDpmPYQgHFppeOu2i6ULxK_2GrcJqFIwVybPiHFO8CxzOqAiWROd"
    "weretrTNLsO2TQ009Q",
    "eyJhbGciOiAiUFMzODQiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.ttHM"
    "oAcxRA0fX6hEYE8Fr2ronYgrqpU8Fb3NjN_D6i0BK7gKOC6UC4zumWgaxlctdDYErdpcs6Fq-fT7H4z6"
    "g2svOuAxsZYC88YJF8ZzkYIQj3xCXFXLIByJjhYOoJ3GIHqDWP30STj-KYkbcmbVabe0TQxYvuUMxZ-j"
    "z4EGsAxhftkSGPA4oTVQwT0OVoiGaAhYW_FW6VdU44DOFXHPOR0ulr9IPJbuynyYXAN3SwUeexk01a98"
    "-XhOe4NfJ9UrJv16bOFBkW9uMrFnhBL6whfwNuwPhZrv0Hd1OSR6lVIwgGptTghELrDxI0XHZ_eLjraS"
    "0Zz3yaqMfiWiKmykdQ",
    "eyJhbGciOiAiUFM1MTIiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.oeEy"
    "8nkmeSeDgx-MGLq7LG0GJiFs-0Khqck0ZwvWh4oQ8l-pHdYdSGtBZ5emo-o_qg86STtk4NJJsA1tRx1M"
    "KFEkT9RfgyDX8WEBE1g6f1Ir74BCY2AiJaPuPGjUanym5QIZzENzjASxgGZiNftWgLya9Yqh31egnzmr"
    "g53T2iDVKhhQvkHu9vFNSG-YajVFcyjF7y0wfjChVPNf7tuxtDysh48f9uU-Pjtq_rMXLNswTtXTI1M0"
    "7QVmXY2-ipINJ2-s-GXoLvkSqa5FzJGYZHUVvW9hwUif-9LxArYE0pKblkXy5Ve38sPi2vZNrVCFvFhe"
    "z_vaoiYVLrdFhKtXMw",
    "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnMyNTYifQ.eyJpc3MiOiJ4In0.H"
    "Qd6-a2WnS6D5b1kRvRDz35N9KTqT3m6cmp5nMdkzFLGED6-gYIHmrtgbNzHGpg3-qJPew7kJUaSBqTv-"
    "LqaDjE1VRdmUcqVHBFNARM_GCN7mmvYSy5-wW6pMP2auyOQdq0yI78zfSC_yWDhYAASaMLH2TAJnRtNI"
    "0jZ8WZOdZeCOFPGHyKvtNTv2ybyu7SiCv8u5zciGUGCQecHUPgCr8UdSdc6Sr6hOij2rbriuBhN7YsLI"
    "QTEM4y1wk6_ixcaJLnKjL7e4fiQr7I7envQCMLIQnprbYtyr3xCJuL6SrzKhf5h5PFkjAOe5FFyKvBxD"
    "Q7T2hkYYOG1fl0BBNYIsg",
    "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDI1NiJ9.eyJpc3MiOiJ4In0.xKd"
    "wpIl00mkarLguA_qvBAFcT0byZ6Bo5Eo6gww3QyqA__WStJ3BTpbauz3iJf4w965a6q4Wo821STDO2U2"
    "dkA",
    "eyJhbGciOiAiRVMzODQiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDM4NCJ9.eyJpc3MiOiJ4In0.l3B"
    "_VVMR00UwAyVv4R2cbXKNxRNPOsrB7My9ws-04eAKDsv8aMf7fiiILfi9jUOvOCkLXQxu3_GXeT2UAe9"
    "JfpDV2np-fkfhV4yDjMZBkBe694u-GbRts9ibUEY-qK6h",
    "eyJhbGciOiAiRVM1MTIiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDUyMSJ9.eyJpc3MiOiJ4In0.Ae0"
    "VTGfSwcfJteBJ6Jb3E0Lbd6pSAc9HEAMw6u9rPqSVVIO1QAMyeF7DNOPJjsb9uK6AiJNQgLnWkX5lQA3"
    "E3VhKABqnVUAlNpNkPpffPMag0P5B4Rm2sxstfmkyMQusrKmo988anW3rXxk1EijMlmQa6k1eD9g2ySw"
    "FAlB3acQh-WNX",
    "eyJhbGciOiAiRVM1MTIiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiJ4In0.AXqZjyqHgWwqUAw-m9hGYta"
    "nqmClqnRV72APFKeddMDmKZM4tTQF1_u2eIM7Dm00F0kPhSSMt3tnbZbRnexndXOrAc8PlWF9mY_Zctb"
    "3Di08ZQf2v6mjEEoVNUbYQTmIO43r_LoTRTz4voPg6MIeuATndevS7G2R0FiVk1nN4sJp8Dqg",
};

static const struct {
    const char *name, *token;
} bad[] = {
    {"no algorithm",
     "eyJhbGciOiAibm9uZSIsICJ0eXAiOiAiSldUIiwgImtpZCI6ICJyc2EifQ.eyJpc3MiOiJ4In0.bm9uZ"
     "Q"},
    {"HMAC by the public key",
     "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.5_4_"
     "6gXwFIDvHD0Xaf4iKqWAp3UrqmgLZF7Y5xZsIZI"},
    {"HMAC key of the set",
     "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAib2N0In0.eyJpc3MiOiJ4In0.gcnx"
     "oTutpy_v-vfgYdGABn_UW-Yih9XP5XlNQvhCa44"},
    {"another kid",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAiZ29uZSJ9.eyJpc3MiOiJ4In0.P6T"
     "SV0z7gub7IIDicK010DaJqCMnq2rcZoci3Kod2dIbi0lRcBGD0waIwGLDpNjCv3vq-brS9cUMqEBHcmq"
     "xNAlSLDrK8-hurjUUymE-3PUN57l7WBSM4rYv2IBer4XJUzjFhJv3XT7S_fwAits_fn2Gixw5_tY-3Ou"
     "dcCPtSTjBsGUXaq-4DAizUBiQxA9IBR7SOhqVMo7GXqzJFYLPm2ckN_2LZvFFRf72m6gTbcpOdEhNCcy"
     "CJRQ2msVZVQmnchLyCWm-QJoTqU2G7g_Hb-ZwNDN_U6vTToWGf9CJm8_NpByviF3EnklNXRkeFYbrA-R"
     "WMaSByhhCjyzE7GMJ3w"},
    {"no kid, two keys",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiJ4In0.QYM3Pni-VhucrmJtxSYgtkz"
     "yaGavNEdymSuurtk2kFa4Kb1UYn_Acw3t9os4cHmI1zs_puN9SVnHwPSx8rLfZHcDg6HWUs60cLXw17_"
     "A9712-Mp5pwViMYIMHi0V2UAJGC59I2OfBas9Tnkxckc-ddd1Rvk6eMxcVZO_ROefwDfjy7BMZRIyBm9"
     "Jcx4tSCj7S416pyRuJz7JZh9H_NeftHRN4zj-c0dnktVF-p9_oDB_7VF1MU3SWwkk9VsGAKXWbVaKoK9"
     "bntaS5IQ2gGGO-gGY3ZfWxTA7G1yMNngMMjxRnsRPtvDWnzC8q2qaGhhzlGw5bomvblO1zPF67RlIBw"},
    {"another algorithm than the key's",
     "eyJhbGciOiAiUlMzODQiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnMyNTYifQ.eyJpc3MiOiJ4In0.U"
     "WobjMIvpnMmOJObwdADLqLA8uLbz6EY9RSW6CwBy9SjCGdu-M5saP07ZXmAVk3qJMJlXaukDy5ASIyEk"
     "JdsEaYxZTzItZU-kg6nPC24e-BfzGEk1lxSmUeDxkDADhzLxVPkdl6hOqqYvgK5Iv28iDXJEENxP1vGc"
     "T_2s-PO_mc-Zau4XfehuNWnXVKjD868wmMilb8I_iDyN8FxIV-PutKFiLjOpRm48swhpjgaXaoEjsMLC"
     "4FQof71xtnEwrUkoAkmjS40Jcel--XQWW_sjqD9RD_OyOrL0AsFGXaB-xbvrusu9b3X6TUxR1PLgLR1O"
     "9Ri8G79NmS8CjfXJ3kZzw"},
    {"a key for encryption",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAiZW5jIn0.eyJpc3MiOiJ4In0.gzcE"
     "B7tzoAe2EL8zYBBuplh-zPkpjpek2U2tejrytlXDhfnX5nZfOdWI6W33YFsx8RixD1P6hGBNXEkq5PxW"
     "570k4SroH_xGfrmm0Zjp53VXdXEU0mU4iB23tI6LWFcF69Wz88gTeu7M-kurALGHPOAXzpeHN0ePZBAu"
     "h1MaqZeWWH5W0PCOY-AR_nmC_V-WzwFs2XRYB6zW4pY0VMuEBhTn68nLi2T5nMPKB0mZjZqCFNBVO23N"
     "MOpUoqkXMbJ2oWlrdd4j0w-6_oH3DKn21Q-KXf2RuBao6OF53J1fGMSZPqBy0V4uXwbYNWWCaoUVI2YH"
     "hsgXvaEw4fcga_HxGw"},
    {"a weak key",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAid2VhayJ9.eyJpc3MiOiJ4In0.ZlC"
     "U3kPLVfXMwkTbSdb6sM2b2j9_ytmCi3cG58ZGuFN9nqaYSKo7f8CPwMxvW0YAHbOwjV53IJfV9Dr5x8b"
     "ldigpUWwcHkrUTceTTyvZFh_Br5cK1qqDeec3AXAAsSAIZxuNnowUWGeoQCdzM39BYYQKc-vnzuEmFPf"
     "VZ44MKWE"},
    {"EC by the RSA key",
     "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.6fbU"
     "eYZ-g4h7xDmXb7pwBSFqWvDhSXZC-SxlXIThILLKiyH2favAgZoUGQ_eN14nj-3n4xC2q_BbPacfXQ_T"
     "Ow"},
    {"RSA by the EC key",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDI1NiJ9.eyJpc3MiOiJ4In0.jng"
     "T4lmVEhc6F8aZaO0672wbDc0wgpIJPdvX0fDN5MN77DdUjoxU-m3Ga1GLPI14FyrfWT-YWWDQai5Ncg0"
     "gfpowmWoBE1oYvfnz-Q9Bo73dZ_1B_tEnD545GNaT5K6uQC2uEoFNhSabd8IEUiiQZaqpNQS1_9SDs_Z"
     "ga3zWAqraedt2WMAT2ZhW-wy--fGr0TN3kk2CDKzzTUOFg748Hsue1yh7QDRapsLInSCEixawY6Abhnp"
     "UPxs-z5O5thIMl6fj6Dw4HKIAuMyuFj6IFd7zLd6C5ODPA6H2Pu_adkDYGuTkoh-zQ1PdBuSPJs67rPL"
     "QoUiidIeK8igSQptkWA"},
    {"EC of another curve",
     "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDM4NCJ9.eyJpc3MiOiJ4In0.hZt"
     "M7z7q21QcP7Y80HQZaVdQOj55TIf9QAhVt9oKH0JrTJZVutJmbZE3TvuTPuTQGKEFxKJdJRkHYBiXZ0C"
     "4vg"},
    {"another payload",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ5In0.KNDO"
     "Wfwj4oE4YVIdVRpwZOYzDOMeuKHQrF3COUtH7x7yuKVX-dTQuDVi__Y2b8shU-ggCzKh04R3SicK6ziU"
     "a0_3ggL4SUdg4uxxBHJNGcTnCnIkfAsvesv_6jteQ2DlSUVf6zfWKSzOvSXH6KHn-aCFhJdxVN7JxpEA"
     "xht710ViAMcNTXv_hlzvjIdes-9L9VlHHq_p52EO_jhqo_yyVBVOZr1i1TyFmmxaGkP3uQXC4QmCgEmn"
     "rh804YXwJXFbEqXs6O1ZUtcVZyQdUFfJ8NL2QdL6JMWIyT0yqEt7FrdzxKWrUi7lvj2YtSlHuPMC-RwL"
     "NKT08-5E2EPQdvwiJg"},
    {"cut", "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.KNDO"
            "Wfwj4oE4YVIdVRpwZOYzDOMeuKHQrF3COUtH7x7yuKVX-dTQuDVi__Y2b8shU-ggCzKh04R3SicK6ziU"
            "a0_3ggL4SUdg4uxxBHJNGcTnCnIkfAsvesv_6jteQ2DlSUVf6zfWKSzOvSXH6KHn-aCFhJdxVN7JxpEA"
            "xht710ViAMcNTXv_hlzvjIdes-9L9VlHHq_p52EO_jhqo_yyVBVOZr1i1TyFmmxaGkP3uQXC4QmCgEmn"
            "rh804YXwJXFbEqXs6O1ZUtcVZyQdUFfJ8NL2QdL6JMWIyT0yqEt7FrdzxKWrUi7lvj2YtSlHuPMC-RwL"
            "NKT08-5E2E"},
    {"crit", "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIiwgImNyaXQiOiBbIngiXX0."
             "eyJpc3MiOiJ4In0.F6rl1qsQOAqzH3wzOixEFDJKjRfxeYPl40XS1cvguCSMYaumJRJKQUZLDd7usJk3"
             "2sHBlT6TsKMq9EzNynx7mGd2E9HLr0CB0_SviXA33ZrL3ddWVBnIIlyPHK9Yf0OlnhwbW91sSpxRAkgd"
             "Klz2_e3sGEbn6WblHyw76aCk1-Z97Bz1-9mT2umMqTdrpqaOA4O3HqahO48p4XH0kZ7BGH2TNy7McsHW"
             "Zx7c9aWrHq0PaWtLAAbH1wg9prmHndzTcmMvl7ET9cF2tQ0gsoENx3R8H8BOwI1vPR9yOKFqg6p-29-I"
             "NZrkB7eNDb4aW3hQP1odiYLvCBunmGBwN1TLXA"},
    {"jku", "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIiwgImprdSI6ICJodHRwczov"
            "L2UifQ.eyJpc3MiOiJ4In0.QGI0-CLlIAoNraFZidvpVzVtMcF_GTm8tAagjFdUrEwKN5llQCnB01Ys5"
            "v7oFixVwqueUFngWa8PLub8B69bMXkt3aaF3CsHaRBsAQEEQogXKRt0cwSGmRBGO5VlhZnxJfFwzV_0e"
            "7Yz6nDGYzKnKmmEuE4DPcA0mOYVUGcA6VRdMsFYnXJu-6IUqr9SJ--PQCZcaLvgq72A_KO6aj412Ji5O"
            "7YXg5elhuhcfvDmwW3RNvdLRYuuBeLl4BIUoLBqT_Ne3xZeQ3Cz9nixU-MyU7xFRgf4UCetWNHsKZfjk"
            "_0_4IQ52HGMvD0u0uB2jnCOAgorgy36P69d_2AEI2n-bw"},
    {"jwk", "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIiwgImp3ayI6IHsia3R5Ijog"
            "IlJTQSIsICJuIjogInZtM0owR0xIbWt4RU9QZ0lkcnVHUnN0Z1AyTkFVSkl3RHpmODZiT2VFTVd3aE5f"
            "Z2IxaGJ2NE1UWjhpcXlWb0t5SmlPcndWQnU4cl9FNXZELWRWM3B4eUdaTDNzOVN2cWJYdkpVN3ZBM0Zy"
            "QUJQUURaYXRDYWhTajhvTFZvcTZPU0lkSWg3U1IzX19COUo0VTAySWttMHUtSjdHeXpUWmU5NzZOc3lp"
            "cF91cmV6bTRRMjFxeWNFNGRaTEpqOGdIZnJCd1VoYmltMUVlbEs0aW9LUnNrcHAzNEhjM3JxeUpqUnd3"
            "cDFLaHhYOFV2Nl9BWGhPQThoTEViWS1zS2QxNnM1bVczWmE5eGdoZXM0MEJYNTN5b1oxbDc1VzR0eC1X"
            "NW5KbzZITXdjZjJES3dpc2pXTzByb2p1bjRBQmRzYVlsWHNpM2Yta04ycHRRUDBfNERURWtwUSIsICJl"
            "IjogIkFRQUIiLCAia2lkIjogInJzYSIsICJ1c2UiOiAic2lnIn19.eyJpc3MiOiJ4In0.fCkn8ssaqsi"
            "J40Wl7cXRSpWfdzA9exnd3v4wKzigr7p84DC2cczXkyuRaXYTSF4XikyMHQ5rY77lbeCviDiP3ZF-TQO"
            "6HQR8RvfjQZt4ROq-VaNnoxita08W0pJZC-N4i9V6rdiNuVAp0zlOcGp-jaI9fRxujzVE0xXLJo3_sYe"
            "wWyVvi38X-Nmsp58_82a3DJ5Ja7RF_N5YPe0rXDuT-Z7TuAD6-cgdpkx7JK7xHyll1zC0DdphCaNmkQ6"
            "u-kvVZ3--rBB6DlpTDEBjg-8VhpQp8fN7ASQq0oUdn22GkBVNbdWPe9MDEwcqbpqFcOcrcrlH4nWiR3B"
            "9ixe0hGO5SQ"},
    {"EC in DER", "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDI1NiJ9.eyJpc3MiOiJ4In0.MDA"
                  "wMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA"
                  "wMDAwMDAwMA"},
    {"zeroes", "eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicDI1NiJ9.eyJpc3MiOiJ4In0.AAA"
               "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
               "AAA"},
    {"PSS signature called PKCS",
     "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicnNhIn0.eyJpc3MiOiJ4In0.VYPi"
     "bm4J1t6Rd5Vq8_nvypUkNmk0IKi2A1KITHT72-8qasT91bOQE-EhC0W81DCc7vQjnhhT-aB1RGm9V215"
     "dp7ta5PNfsCTr1tWeBhpC67AwyJK6Y39aM9vMQzbYVy8mg--ScPN7EbpNZrtMDOT-nhI5iyc1SrOLufn"
     "C1Qzy_r6Q9lftG0ddRyuufNuivu6I8zZc_u6OmBj6Ew3UQd5RSQ93hRSd26CSZShBuFV8tkCL7iDR8dR"
     "5Wzm1oEWHsICmCa_xYoSnYuBFVQOs3AQWX-OCriCRorFPjYq3VA4O3nvKoKP1s9LaYYgsBfwRNVyxO25"
     "V7c8_RFOuUXDDrVhPA"},
};

#endif
