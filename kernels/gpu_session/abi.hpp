/// Some GPU kernels behind a C interface, so that a script can put them beside another library's in one process
/// (compare_torch.py). All tensors are bf16 in device memory; a stream is a cudaStream_t.
///
///   void* plan = orrery_prefill_plan(4, 4096, 0, 32, 8, 128, 16);      // sequences, new, cached, heads, KV heads, ..
///   orrery_prefill(plan, q, k, v, out, stream);
///   orrery_plan_free(plan);
///
/// KV of sequence s is pages [s * pages, (s + 1) * pages) of `page_tokens` tokens, (tokens, kv_heads, head_dim) in
/// each: dense if page_tokens divides the tokens. Functions return 0, or a null plan, on error; orrery_error() then
/// says what it was.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

void* orrery_prefill_plan(int sequences, int queries, int context, int heads, int kv_heads, int head_dim,
                          int page_tokens);
void* orrery_decode_plan(int sequences, int context, int heads, int kv_heads, int head_dim, int page_tokens);
void orrery_plan_free(void* plan);

int orrery_prefill(void* plan, const void* q, const void* k, const void* v, void* out, void* stream);
/// By specialised warpgroups, on sm_90a.
int orrery_prefill_warpgroups(void* plan, const void* q, const void* k, const void* v, void* out, void* stream);
int orrery_decode(void* plan, const void* q, const void* k, const void* v, void* out, void* stream);
int orrery_rmsnorm(const void* x, void* residual, const void* weight, void* out, long rows, long dim, float eps,
                   void* stream);
int orrery_swiglu(const void* gate_up, void* out, long rows, long dim, void* stream);
int orrery_sample(const void* logits, int* out, long rows, long vocab, float temperature, int top_k, float top_p,
                  void* stream);
const char* orrery_error(void);

#ifdef __cplusplus
}
#endif
