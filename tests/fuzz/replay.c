/*
 * Replay: runs a fuzz target over the files named on the command line, as a plain test. It is what
 * keeps every input that was ever found from coming back, in each ordinary test run and under gcc's
 * sanitizers too. libFuzzer's own main takes this one's place under --config=fuzz.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger inputs than the fuzzer makes are a mistake in the corpus. */
#define INPUT_MAX ((size_t)1 << 20)

/* Returns how many bytes were read, or -1. */
static long read_file(const char *path, uint8_t *to)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    size_t size = fread(to, 1, INPUT_MAX + 1, file);
    bool failed = ferror(file) != 0 || size > INPUT_MAX;
    fclose(file);
    return failed ? -1 : (long)size;
}

/* The input moves into an allocation of exactly its size, so that a sanitizer sees a read past
 * its end. */
static int replay(const char *path, uint8_t *scratch)
{
    long size = read_file(path, scratch);
    uint8_t *exact = size < 0 ? NULL : malloc((size_t)size + (size == 0));
    if (!exact) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        return 1;
    }
    for (long i = 0; i < size; i++)
        exact[i] = scratch[i];
    LLVMFuzzerTestOneInput(exact, (size_t)size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    uint8_t *scratch = malloc(INPUT_MAX + 1);
    int failures = scratch ? 0 : 1;
    for (int i = 1; scratch && i < argc; i++)
        failures += replay(argv[i], scratch);
    free(scratch);
    if (argc < 2) {
        fprintf(stderr, "replay: the corpus is empty\n");
        failures++;
    }
    return failures ? 1 : 0;
}
