// peer_llamacpp.cpp: llama.cpp's tokenizer on the texts of a file, for peer_tokenizers.py.
//
//   peer_llamacpp VOCABULARY.gguf FILE IDS
//
// FILE holds texts separated by the byte 0x1e. Prints CPU seconds of encoding all texts once, and
// the number of ids; writes the ids as 32-bit integers to IDS.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <time.h>
#include <vector>

#include "llama.h"

static double cpu_seconds() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

static void quiet(ggml_log_level level, const char * text, void *) {
    if (level >= GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

int main(int argc, char ** argv) {
    if (argc != 4) {
        fputs("usage: peer_llamacpp VOCABULARY.gguf FILE IDS\n", stderr);
        return 2;
    }
    llama_log_set(quiet, nullptr);
    llama_backend_init();
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    llama_model * model = llama_model_load_from_file(argv[1], params);
    if (!model) {
        return 3;
    }
    const llama_vocab * vocab = llama_model_get_vocab(model);
    std::ifstream in(argv[2], std::ios::binary);
    std::string data((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    std::vector<llama_token> ids(data.size() + 16);
    size_t n_ids = 0;
    const double begin = cpu_seconds();
    for (size_t at = 0; at < data.size();) {
        size_t end = data.find('\x1e', at);
        end = end == std::string::npos ? data.size() : end;
        const int n = llama_tokenize(vocab, data.data() + at, int32_t(end - at), ids.data() + n_ids,
                                     int32_t(ids.size() - n_ids), false, true);
        if (n < 0) {
            fprintf(stderr, "peer_llamacpp: %d ids do not fit\n", -n);
            return 1;
        }
        n_ids += size_t(n);
        at = end + 1;
    }
    printf("%.3f %zu\n", cpu_seconds() - begin, n_ids);
    FILE * out = fopen(argv[3], "wb");
    if (!out || fwrite(ids.data(), sizeof ids[0], n_ids, out) != n_ids || fclose(out)) {
        return 4;
    }
    return 0;
}
