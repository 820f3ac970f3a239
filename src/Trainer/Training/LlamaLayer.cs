using ProxyTune.Checkpoints.Architectures;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ProxyTune.Trainer.Training;

/// <summary>One decoder layer. Attention and feed-forward each read the normalised residual stream and are added to it.</summary>
internal sealed class LlamaLayer
{
    private readonly DecoderSpec spec;
    private readonly int index;
    private readonly Rotary rotary;
    private readonly Tensor attentionNorm;
    private readonly Tensor queryKeyValue;
    private readonly Tensor output;
    private readonly Tensor feedForwardNorm;
    private readonly Tensor gateUp;
    private readonly Tensor down;

    public LlamaLayer(DecoderSpec spec, ParameterSet parameters, int index, bool trainable, Rotary rotary)
    {
        (this.spec, this.index, this.rotary) = (spec, index, rotary);
        Tensor Leaf(string part, int rows) => parameters.Leaf(DecoderTensors.Of(index, part), trainable, rows);
        attentionNorm = Leaf(DecoderTensors.AttentionNorm, spec.HiddenSize);
        queryKeyValue = Leaf(DecoderTensors.Query, (spec.Heads + 2 * spec.KeyValueHeads) * spec.HeadSize);
        output = Leaf(DecoderTensors.Output, spec.HiddenSize);
        feedForwardNorm = Leaf(DecoderTensors.FeedForwardNorm, spec.HiddenSize);
        gateUp = Leaf(DecoderTensors.Gate, 2 * spec.IntermediateSize);
        down = Leaf(DecoderTensors.Down, spec.HiddenSize);
    }

    /// <param name="x">[batch * positions, hidden]</param>
    public Tensor Forward(Tensor x, long batch, long positions, LoraAdapter? lora)
    {
        x = x + Attention(Norm(x, attentionNorm, spec.NormEpsilon), batch, positions, lora);
        return x + FeedForward(Norm(x, feedForwardNorm, spec.NormEpsilon), lora);
    }

    public static Tensor Norm(Tensor x, Tensor weight, double epsilon) =>
        x * ((x * x).sum(-1, keepdim: true) / x.shape[1] + epsilon).rsqrt() * weight;

    private Tensor Attention(Tensor x, long batch, long positions, LoraAdapter? lora)
    {
        (int heads, int kvHeads, int size) = (spec.Heads, spec.KeyValueHeads, spec.HeadSize);
        Tensor projected = functional.linear(x, queryKeyValue);
        if (lora is not null)
        {
            projected = lora.AddTo(projected, x, index, LoraTargets.QueryKeyValue);
        }

        // Splits instead of slices, since the gradient of a split is one concatenation.
        Tensor[] parts = projected.view(batch, positions, heads + 2 * kvHeads, size).split([heads + kvHeads, kvHeads], 2);
        Tensor[] rotated = rotary.Rotate(parts[0]).split([heads, kvHeads], 2);
        Tensor mixed = functional.scaled_dot_product_attention(
            rotated[0].transpose(1, 2), ForEachQuery(rotated[1]), ForEachQuery(parts[1]), is_casual: true);
        Tensor joined = mixed.transpose(1, 2).reshape(batch * positions, heads * size);
        Tensor output = functional.linear(joined, this.output);
        return lora is null ? output : lora.AddTo(output, joined, index, LoraTargets.Output);
    }

    private Tensor FeedForward(Tensor x, LoraAdapter? lora)
    {
        Tensor both = functional.linear(x, gateUp);
        if (lora is not null)
        {
            both = lora.AddTo(both, x, index, LoraTargets.GateUp);
        }

        Tensor[] parts = both.chunk(2, 1);
        Tensor inner = parts[0].silu() * parts[1];
        Tensor output = functional.linear(inner, down);
        return lora is null ? output : lora.AddTo(output, inner, index, LoraTargets.Down);
    }

    // Query heads h * group .. h * group + group - 1 read key-value head h.
    private Tensor ForEachQuery(Tensor heads)
    {
        int group = spec.Heads / spec.KeyValueHeads;
        (long batch, long positions, long count, long size) = (heads.shape[0], heads.shape[1], heads.shape[2], heads.shape[3]);
        return group == 1
            ? heads.transpose(1, 2)
            : heads.unsqueeze(3).expand(batch, positions, count, group, size).reshape(batch, positions, count * group, size).transpose(1, 2);
    }
}
