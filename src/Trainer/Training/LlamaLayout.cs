using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Names and shapes of a Llama checkpoint, and how a fresh one starts.</summary>
internal static class LlamaLayout
{
    public const string Embedding = "model.embed_tokens.weight";
    public const string Head = "lm_head.weight";
    public const string FinalNorm = "model.norm.weight";

    public static string Layer(int index, string part) => $"model.layers.{index}.{part}.weight";

    /// <summary>q, k and v follow each other, and so do gate and up: each group is used as one matrix.</summary>
    public static IEnumerable<(string Name, int[] Shape)> Tensors(LlamaConfig config)
    {
        (int d, int ffn, int q, int kv) = (config.HiddenSize, config.IntermediateSize, config.NumAttentionHeads * config.HeadSize, config.NumKeyValueHeads * config.HeadSize);
        yield return (Embedding, [config.VocabSize, d]);
        if (!config.TieWordEmbeddings)
        {
            yield return (Head, [config.VocabSize, d]);
        }

        for (int i = 0; i < config.NumHiddenLayers; i++)
        {
            yield return (Layer(i, "self_attn.q_proj"), [q, d]);
            yield return (Layer(i, "self_attn.k_proj"), [kv, d]);
            yield return (Layer(i, "self_attn.v_proj"), [kv, d]);
            yield return (Layer(i, "self_attn.o_proj"), [d, q]);
            yield return (Layer(i, "mlp.gate_proj"), [ffn, d]);
            yield return (Layer(i, "mlp.up_proj"), [ffn, d]);
            yield return (Layer(i, "mlp.down_proj"), [d, ffn]);
            yield return (Layer(i, "input_layernorm"), [d]);
            yield return (Layer(i, "post_attention_layernorm"), [d]);
        }

        yield return (FinalNorm, [d]);
    }

    /// <summary>Normal with deviation 0.02; the projections that write to the residual stream shrink with depth, as in GPT-2.</summary>
    public static void Initialise(ParameterSet parameters, LlamaConfig config, long seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)seed);
        foreach (ParameterSlot slot in parameters.Slots)
        {
            Tensor target = parameters.Values.narrow(0, slot.Offset, slot.Count);
            if (slot.Shape.Length == 1)
            {
                target.fill_(1);
                continue;
            }

            bool writesToResidual = slot.Name.Contains("o_proj", StringComparison.Ordinal) || slot.Name.Contains("down_proj", StringComparison.Ordinal);
            double deviation = 0.02 / (writesToResidual ? Math.Sqrt(2.0 * config.NumHiddenLayers) : 1);
            target.copy_(randn(slot.Count, generator: generator) * deviation);
        }
    }
}
