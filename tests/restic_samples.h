/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that restic 0.14 itself wrote, in a repository of each version: the
 * password is "geheim". What is in them was told by `restic cat`.
 */
#ifndef RESTIC_SAMPLES_H
#define RESTIC_SAMPLES_H

struct restic_sample {
	int version;
	const char *key;     /* keys/ID, as it is */
	const char *encrypt; /* the master key in it, base64 */
	const char *mac_k;
	const char *mac_r;
	const char *config; /* hex */
	const char *id;     /* in config */
	const char *lock_name;
	const char *lock; /* hex; shared, of root on "vm" */
};

static const struct restic_sample restic_samples[] = {
	{
		.version = 1,
		.key = "{\"created\":\"2026-11-24T23:05:39.173651718Z\",\"username\":\""
		       "root\",\"hostname\":\"vm\",\"kdf\":\"scrypt\",\"N\":32768,\"r\":8,\"p\""
		       ":8,\"salt\":\"BUdCf3iARS5WBPfLaRpYEsZ19yjSZRcbWvGvRQ3IReLWo"
		       "qw5GzKBnbcNpT6hhyrsmZXXKkmmuIHG9YWUZzrxnQ==\",\"data\":\"tMQ"
		       "uniZPw2c/QeWCfi5WZ6wlG9N6qB4zoKhPAcOcEl6FcEok06hh74ZcqOE"
		       "8NbItuMTk01PGBYvXv1mD6aSOsToCxkBD2r26fSCs9g93fSN+2xLMaln"
		       "/VVrfg50AcwKxJXamMgh2fVF9bD36GSD0JubQ/5naPvUscgBqrXWtsYd"
		       "APFtO+z9smftErjew/EbvHq/IU73I+oL4xfHdtP3wlg==\"}",
		.encrypt = "/lXG8tEBwdaM7Dg9c+gmHRH0Oyk5fUKrZRB4McLcss0=",
		.mac_k = "5DY48SoGH+ysbIM9EkgsZg==",
		.mac_r = "XWhuBgTN+Q74owoB0JDGAQ==",
		.config = "2197cd4cabf05e6d39428133fd6b4bdbc5cad8cf4a321d033becbab3"
			  "25ccb18896b4e33e0ceab323e8e6857f258f5ebb1ad10219b97ae376"
			  "5f051307a4b0196d5a5b4587b9b64da92025e34556a96ad4ca326d28"
			  "234c940cf0a130d96877f0d84954cfd8b9e98e160d87a89eea25fb0c"
			  "47f9d1ffb503b1633ad314b1a5b8ac2dfde6661f6ad2a5f1f8f17df9"
			  "3a705a12025dc604c165efdc7b4603",
		.id = "8d0831030a0b6f1612594f31f3c8d078df9555059b73695d9b4f40be"
		      "615793d2",
		.lock_name = "2983a3f050bd6586de9b0e544a2b9d2fa953fbc12839bfc5f7e7c3ca"
			     "f6ce936c",
		.lock = "dbeb3a211c9a25be9ec2941aa81c46aa63ea9b02d390892628f1ba70"
			"b067033312404ea2a8f1cfc7204f5a25c50239e5adaa7a48e1cefaf7"
			"3774f6d8a09fcfd2707bd1eb69fe9dc2c63eb9fb857122732bb2c933"
			"c2385342692c202072ea37b373deced2da8dfda24d7f763957c6a3bc"
			"b2a40e5035d3957804892751fee0d7b6a936cb773cfd3ef0",
	},
	{
		.version = 2,
		.key = "{\"created\":\"2026-11-24T23:05:41.646130026Z\",\"username\":\""
		       "root\",\"hostname\":\"vm\",\"kdf\":\"scrypt\",\"N\":32768,\"r\":8,\"p\""
		       ":8,\"salt\":\"Fhe+9mfh942dVVL/4/dckb3s0mDDANy/STrNp9PLGb/fx"
		       "m/YY9/7lo05OpMY4uNIdtDCYB8ULL6AeXuhtEMebg==\",\"data\":\"miK"
		       "0oigiCJiBSSC8+QXix1/LJwNl2cLqqDLr00/PyZaUYcgiKQrVhHQyPDt"
		       "5oJJ2QJJ/t0ff1hqYiCJE4QULdbqOAwFKaQVoX4XP3BMrU4yCRHpN/HV"
		       "skoqLTpn2ZBDZ4hNCgVO727ScamnqJA+CmuJqwMjI5GFyMpIRuJ62/gC"
		       "i/0hA4SjwjUFwSkLoyKkWHQN43Y8zU6QvtWtakeVa6g==\"}",
		.encrypt = "lXSM5wShpU5+U2YGtDv/rv2fLhTd6Q+uE480B/nFz1E=",
		.mac_k = "SfvMaZIiqfiJNLVxvAt4gQ==",
		.mac_r = "XdzECpjD2wTkwp0F2B0FDA==",
		.config = "a6d556450c4110828958c7240e40ab5bad39a3c975eea60012076e3d"
			  "37cc51c6ebfe709d4b643e1bf6b9c4bfcb2d20ec6f9ac23ca17cfb1f"
			  "7341dfa4c1cc7a8f8e1bb3ea67001c35f95b66f0356f46523d3260fe"
			  "794e1db1b12e532460a39fbcabc83f411d03829dac6b2fd375a478d1"
			  "37dfea9a714723de70f215591fdf107b1235d88cf92747ee0f7821d7"
			  "fa06aed4792486114371d80f7202e4",
		.id = "91e1237629404153b50e5e98d77e9eea16fc73a3e13d18aeae3e9696"
		      "78025372",
		.lock_name = "d5795f43c4941302ad0215ee137db7b58395a03d64993aa201984344"
			     "40753386",
		.lock = "62980ff4fe2728f81e35da19bff331939d96aeb31c8bacdca3289cb7"
			"b23bbed2ccde5e0c240b26fa820d668e3f20028d7061ecd234fe0d93"
			"102c717abe122c5c478e2a40df91bc17b54e723c6ba2dcbe32ff0461"
			"825380f44a9b18e65e82ecb2c62d2b627c079e173ec623576e4949b2"
			"0dba37e977d75f8922b3e950851d1e9805e05272f9a9494ba857",
	},
};

#endif
