// Verifies a signature that `edgekeep model sign --detached` or `openssl dgst -sha256 -sign` made with a P-256 key.
//   cc -o verify verify.c -lcrypto
//   ./verify SLOT FIRMWARE SIGNATURE
// SLOT has the 64 bytes of the public key as a secure element keeps it, x and y. A boot loader brings a secure_element_read and an ecdsa_verify of its
// own; those of this file read a file and ask OpenSSL 3.
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SE_SLOT_0 0
// Of a P-256 signature in DER: two integers of at most 33 bytes.
#define SIGNATURE_BYTES_MAX 72
#define FIRMWARE_BYTES_MAX (256u * 1024 * 1024)

static const char *slot_files[1];

static void secure_element_read(int slot, uint8_t *out, size_t size) {
  FILE *file = fopen(slot_files[slot], "rb");
  if (file == NULL || fread(out, 1, size, file) != size || fgetc(file) != EOF) {
    fprintf(stderr, "%s: expected the %zu bytes of a public key\n", slot_files[slot], size);
    exit(2);
  }
  fclose(file);
}

static EVP_PKEY *public_key_of(const uint8_t *xy) {
  uint8_t point[65] = {4};
  memcpy(point + 1, xy, 64);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
      OSSL_PARAM_construct_end(),
  };
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
  if (context != NULL && EVP_PKEY_fromdata_init(context) == 1) EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params);
  EVP_PKEY_CTX_free(context);
  return key;
}

/* 1 for a valid signature, 0 for every other. The signature is DER, whose second byte is the length of the rest. */
static int ecdsa_verify(const uint8_t *xy, const uint8_t *message, size_t size, const uint8_t *signature) {
  if (signature[0] != 0x30 || signature[1] > SIGNATURE_BYTES_MAX - 2) return 0;
  EVP_PKEY *key = public_key_of(xy);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int valid = key != NULL && context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(context, signature, 2u + signature[1], message, size) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return valid;
}

// As guides on secure boot have it.
int verify_firmware_signature(
const uint8_t* firmware,
size_t firmware_size,
const uint8_t* signature
) {
// Read device public key from secure element
uint8_t public_key[64];
secure_element_read(SE_SLOT_0, public_key, sizeof(public_key));
// Verify ECDSA signature
return ecdsa_verify(
public_key,
firmware, firmware_size,
signature
);
}

/* The whole file; `size` is in and out: the most, and the length. The buffer has the most, and zeros after the file. */
static uint8_t *read_file(const char *path, size_t *size) {
  uint8_t *bytes = calloc(1, *size + 1);
  FILE *file = fopen(path, "rb");
  size_t length = bytes == NULL || file == NULL ? 0 : fread(bytes, 1, *size + 1, file);
  if (length == 0 || length > *size) {
    fprintf(stderr, "%s: cannot be read, is empty, or has more than %zu bytes\n", path, *size);
    exit(2);
  }
  fclose(file);
  *size = length;
  return bytes;
}

int main(int count, char **words) {
  if (count != 4) {
    fprintf(stderr, "usage: verify SLOT FIRMWARE SIGNATURE\n");
    return 2;
  }
  slot_files[SE_SLOT_0] = words[1];
  size_t firmware_size = FIRMWARE_BYTES_MAX;
  size_t signature_size = SIGNATURE_BYTES_MAX;
  uint8_t *firmware = read_file(words[2], &firmware_size);
  uint8_t *signature = read_file(words[3], &signature_size);
  // What follows the signature is no part of it.
  int valid = signature_size == 2u + signature[1] && verify_firmware_signature(firmware, firmware_size, signature);
  puts(valid ? "valid" : "refused");
  free(firmware);
  free(signature);
  return valid ? 0 : 1;
}
