using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests.Training;

public sealed class AnswerLossTests
{
    private static readonly AnswerTokens[] Examples = [new([5, 6, 7], [8, 9, 1]), new([3], [2, 4])];

    [Fact]
    public void Sum_PaddedBatch_EqualsPlainLoopsOverAnswerTokensOnly()
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec);
        using DisposeScope scope = NewDisposeScope();
        AnswerBatch batch = AnswerBatch.Of(Examples);

        float loss = AnswerLoss.Sum(AnswerLoss.Logits(model, null, batch), batch.Targets).item<float>();

        double expected = Examples.Sum(e => Expected(e, position => Row(model, e, position)));
        Assert.Equal(expected, loss, 1e-3);
    }

    [Fact]
    public void Sum_WithCachedRows_EqualsPlainLoopsOverTheFusedLogits()
    {
        const double alpha = 0.7;
        using LlamaModel expert = Tiny.Model(Tiny.Spec, seed: 1);
        using LlamaModel anti = Tiny.Model(Tiny.Spec, seed: 2);
        using LlamaModel large = Tiny.Model(Tiny.Spec with { HiddenSize = 32 }, seed: 3);
        using DisposeScope scope = NewDisposeScope();
        AnswerBatch batch = AnswerBatch.Of(Examples);
        Tensor cached = AnswerLoss.Logits(large, null, batch) - alpha * AnswerLoss.Logits(anti, null, batch);

        float loss = AnswerLoss.Sum(AnswerLoss.Logits(expert, null, batch), batch.Targets, cached, alpha).item<float>();

        double expected = Examples.Sum(e => Expected(e, position =>
        {
            (double[]? m, double[]? s, double[]? a) = (Row(large, e, position), Row(expert, e, position), Row(anti, e, position));
            return [.. m.Select((value, v) => value + alpha * (s[v] - a[v]))];
        }));
        Assert.Equal(expected, loss, 2e-3);
    }

    [Fact]
    public void Sum_CachedRowsOfZeros_IsTheLossOfSupervisedTuning()
    {
        using LlamaModel model = Tiny.Model(Tiny.Spec);
        using DisposeScope scope = NewDisposeScope();
        AnswerBatch batch = AnswerBatch.Of(Examples);
        Tensor logits = AnswerLoss.Logits(model, null, batch);

        Assert.Equal(
            AnswerLoss.Sum(logits, batch.Targets).item<float>(),
            AnswerLoss.Sum(logits, batch.Targets, zeros_like(logits), alpha: 1).item<float>());
    }

    /// <summary>KL(w, v) with v = softmax(log w + d), d = c + alpha s, w = (softmax(before) + the answer's token) / 2.</summary>
    [Fact]
    public void Change_OfSomeRows_EqualsPlainLoopsOverTheTiltedDistribution()
    {
        const double alpha = 0.7;
        using DisposeScope scope = NewDisposeScope();
        (Tensor? before, Tensor? logits, Tensor? constant) = (randn(5, 40) * 2, randn(5, 40) * 3, randn(5, 40));
        int[] answer = [3, 39, 0, 7, 7];

        float loss = AnswerLoss.Change(logits, AnswerLoss.KeepWeights(before, answer), constant, alpha).item<float>();

        double expected = 0.0;
        for (int row = 0; row < 5; row++)
        {
            double[] w = Softmax([.. Enumerable.Range(0, 40).Select(v => (double)before[row, v].item<float>())]);
            w = [.. w.Select((p, v) => (p + (v == answer[row] ? 1 : 0)) / 2)];
            double[] tilted = Softmax([.. w.Select((p, v) => Math.Log(p) + constant[row, v].item<float>() + alpha * logits[row, v].item<float>())]);
            expected += w.Zip(tilted, (p, q) => p * Math.Log(p / q)).Sum();
        }

        Assert.Equal(expected, loss, 1e-3);
    }

    [Fact]
    public void Change_SameForAllTokens_IsZero()
    {
        using DisposeScope scope = NewDisposeScope();

        Assert.Equal(0, AnswerLoss.Change(full(2, 40, 5f), AnswerLoss.KeepWeights(randn(2, 40), [1, 2])).item<float>(), 1e-4);
    }

    private static double[] Softmax(double[] row) => [.. row.Select(value => Math.Exp(value) / row.Sum(Math.Exp))];

    private static double Expected(AnswerTokens example, Func<int, double[]> row) => example.Answer.Select((target, i) =>
    {
        double[] logits = row(example.Prompt.Length - 1 + i);
        return Math.Log(logits.Sum(value => Math.Exp(value - logits[target])));
    }).Sum();

    private static double[] Row(LlamaModel model, AnswerTokens example, int position)
    {
        int vocabulary = model.Spec.VocabularySize;
        return [.. Tiny.Logits(model, [.. example.Prompt, .. example.Answer]).Skip(position * vocabulary).Take(vocabulary).Select(value => (double)value)];
    }
}
