// The part of the program that is edited: what EDIT says is what its next version does.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define BODY 1     // a constant in one function
#define TEXT 2     // a message is longer
#define FUNCTION 3 // a function more, of a type that there was
#define TYPE 4     // a function more, of a new type, that is called by its address
#define TABLE 5    // a function more whose address is taken
#define DATA 6     // 100 kB more of static data

#ifndef EDIT
#define EDIT 0
#endif

static int level(size_t length) {
  return length > 60000 ? 3 : (EDIT == BODY ? 8 : 9);
}

#if EDIT == TEXT
#define MESSAGE "something went wrong while the input was handled: %s: %s\n"
#else
#define MESSAGE "%s: %s\n"
#endif

static void complain(const char *what, size_t code) {
#ifdef RESERVE // messages have room to grow
  static const char message[256] = MESSAGE;
#else
  static const char *const message = MESSAGE;
#endif
  fprintf(stderr, message, what, ZSTD_getErrorName(code));
  exit(1);
}

#if EDIT == FUNCTION
static __attribute__((noinline)) size_t half(size_t size) { return size / 2 + 4096; }
#endif

#if EDIT == TYPE
static int weigh(float a, float b, int64_t c) { return (int)(a * b) ^ (int)c; }
static int (*volatile weight)(float, float, int64_t) = weigh;
#endif

static int ascending(const void *a, const void *b) { return *(const uint8_t *)a - *(const uint8_t *)b; }
#if EDIT == TABLE
static int descending(const void *a, const void *b) { return *(const uint8_t *)b - *(const uint8_t *)a; }
#endif

#if EDIT == DATA
static volatile uint8_t more[100000] = {1, 2, 3};
#endif

static uint8_t input[1 << 20], output[1 << 21];

int main(int argc, char **argv) {
  size_t size = fread(input, 1, sizeof input, stdin);
#if EDIT == FUNCTION
  if (argc > 2) size = half(size);
#endif
#if EDIT == TYPE
  if (argc > 2) size = weight(1.5f, (float)argc, (int64_t)size);
#endif
#if EDIT == DATA
  size += more[argc];
#endif
  if (argc > 1) {
    int (*order)(const void *, const void *) = ascending;
#if EDIT == TABLE
    if (argv[1][0] == 'd') order = descending;
#endif
    qsort(input, size, 1, order);
  }
  size_t packed = ZSTD_compress(output, sizeof output, input, size, level(size));
  if (ZSTD_isError(packed)) complain("compress", packed);
  size_t unpacked = ZSTD_decompress(input, sizeof input, output, packed);
  if (ZSTD_isError(unpacked)) complain("decompress", unpacked);
  printf("%zu bytes, %zu packed\n", unpacked, packed);
  return 0;
}
