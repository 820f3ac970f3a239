using static TorchSharp.torch.nn;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>One decoder layer: attention and feed-forward, each behind a norm and added to the residual stream.</summary>
internal sealed class LlamaLayer
{
    private readonly LlamaConfig _config;
    private readonly int _index;
    private readonly Rotary _rotary;
    private readonly Tensor _attentionNorm;
    private readonly Tensor _queryKeyValue;
    private readonly Tensor _output;
    private readonly Tensor _feedForwardNorm;
    private readonly Tensor _gateUp;
    private readonly Tensor _down;

    public LlamaLayer(LlamaConfig config, ParameterSet parameters, int index, bool trainable, Rotary rotary)
    {
        (_config, _index, _rotary) = (config, index, rotary);
        Tensor Leaf(string part, int rows) => parameters.Leaf(LlamaLayout.Layer(index, part), trainable, rows);
        _attentionNorm = Leaf("input_layernorm", config.HiddenSize);
        _queryKeyValue = Leaf("self_attn.q_proj", (config.NumAttentionHeads + 2 * config.NumKeyValueHeads) * config.HeadSize);
        _output = Leaf("self_attn.o_proj", config.HiddenSize);
        _feedForwardNorm = Leaf("post_attention_layernorm", config.HiddenSize);
        _gateUp = Leaf("mlp.gate_proj", 2 * config.IntermediateSize);
        _down = Leaf("mlp.down_proj", config.HiddenSize);
    }

    /// <param name="x">[batch * positions, hidden]</param>
    public Tensor Forward(Tensor x, long batch, long positions, LoraAdapter? lora)
    {
        x = x + Attention(Norm(x, _attentionNorm, _config.RmsNormEps), batch, positions, lora);
        return x + FeedForward(Norm(x, _feedForwardNorm, _config.RmsNormEps), lora);
    }

    public static Tensor Norm(Tensor x, Tensor weight, double epsilon) =>
        x * ((x * x).sum(-1, keepdim: true) / x.shape[1] + epsilon).rsqrt() * weight;

    private Tensor Attention(Tensor x, long batch, long positions, LoraAdapter? lora)
    {
        var (heads, kvHeads, size) = (_config.NumAttentionHeads, _config.NumKeyValueHeads, _config.HeadSize);
        var projected = functional.linear(x, _queryKeyValue);
        if (lora is not null)
        {
            projected = lora.AddTo(projected, x, _index, LoraTargets.QueryKeyValue);
        }

        // Splits, not slices: the gradient of a split is one concatenation.
        var parts = projected.view(batch, positions, heads + 2 * kvHeads, size).split([heads + kvHeads, kvHeads], 2);
        var rotated = _rotary.Rotate(parts[0]).split([heads, kvHeads], 2);
        var mixed = functional.scaled_dot_product_attention(
            rotated[0].transpose(1, 2), ForEachQuery(rotated[1]), ForEachQuery(parts[1]), is_casual: true);
        var joined = mixed.transpose(1, 2).reshape(batch * positions, heads * size);
        var output = functional.linear(joined, _output);
        return lora is null ? output : lora.AddTo(output, joined, _index, LoraTargets.Output);
    }

    private Tensor FeedForward(Tensor x, LoraAdapter? lora)
    {
        var both = functional.linear(x, _gateUp);
        if (lora is not null)
        {
            both = lora.AddTo(both, x, _index, LoraTargets.GateUp);
        }

        var parts = both.chunk(2, 1);
        var inner = parts[0].silu() * parts[1];
        var output = functional.linear(inner, _down);
        return lora is null ? output : lora.AddTo(output, inner, _index, LoraTargets.Down);
    }

    // Query heads h * group .. h * group + group - 1 read key-value head h.
    private Tensor ForEachQuery(Tensor heads)
    {
        var group = _config.NumAttentionHeads / _config.NumKeyValueHeads;
        var (batch, positions, count, size) = (heads.shape[0], heads.shape[1], heads.shape[2], heads.shape[3]);
        return group == 1
            ? heads.transpose(1, 2)
            : heads.unsqueeze(3).expand(batch, positions, count, group, size).reshape(batch, positions, count * group, size).transpose(1, 2);
    }
}
