using System.Globalization;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>The examples of a loss.</summary>
/// <param name="Validation">True for examples of the validation split.</param>
/// <param name="Indices">The indices of the examples in their split, in the order of the rows.</param>
internal sealed record Chosen(bool Validation, IReadOnlyList<int> Indices);

/// <summary>The summed loss of logits rows against targets.</summary>
internal delegate Tensor Objective(Tensor logits, Tensor targets, Chosen examples);

/// <summary>Tunes a model on answers for any objective: all weights, or a low-rank update.</summary>
internal sealed class Expert : IDisposable
{
    private readonly SftSettings settings;
    private readonly LlamaModel model;
    private readonly LoraAdapter? lora;
    private int[] probe = [];
    private double? validationLoss;

    private Expert(SftSettings settings, LlamaModel model, LoraAdapter? lora) => (this.settings, this.model, this.lora) = (settings, model, lora);

    public DecoderSpec Spec => model.Spec;

    private ParameterSet Trained => lora?.Parameters ?? model.Parameters;

    public static Expert Start(SftSettings settings)
    {
        LlamaModel model = ModelFolder.Load(settings.Init, trainable: settings.Lora is null);
        return new(settings, model, settings.Lora is { } lora ? new LoraAdapter(model.Spec, lora, settings.Seed) : null);
    }

    public AnswerTokens[] Encode(string source) => Encode(source, settings.Init, settings.Template, settings.EndOfAnswer, model.Spec);

    /// <param name="template">The template of conversations for the model of <paramref name="folder"/>.</param>
    public static AnswerTokens[] Encode(string source, string folder, string template, string? endOfAnswer, DecoderSpec spec)
    {
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        int end = endOfAnswer is null
            ? spec.EndIds is [int first, ..] ? first : throw new TrainingException($"{folder}: config.json has no eos_token_id; set end_of_answer.")
            : tokenizer.EncodeRendered(endOfAnswer) is [var single]
                ? single
                : throw new TrainingException($"end_of_answer is '{endOfAnswer}'; accepted is text that {folder} encodes as one token.");
        return new AnswerTokenizer(PromptFormat.Of(template, folder, tokenizer), end).Encode(Sources.Examples(source), source, spec.ContextLength);
    }

    public void Train(string title, AnswerTokens[] training, AnswerTokens[]? validation, Objective objective, CancellationToken cancellation)
    {
        EpochOrder order = new([.. training.Select(example => example.Length)], settings.BatchSize, settings.Seed);
        using BestWeights best = new(Trained);
        new TrainingLoop
        {
            Title = $"{title} {Path.GetFileName(settings.Output)}",
            Output = settings.Output,
            Optimizer = settings.Optimizer,
            Parameters = Trained,
            Steps = settings.Steps > 0 ? settings.Steps : Math.Max(1, (long)Math.Round(settings.Epochs * order.StepsPerEpoch)),
            CheckpointEvery = settings.CheckpointEvery,
            Extra = [("best", best.Values)],
            DataState = () => new JsonObject { ["best"] = best.ToJson() },
            Begin = state => best.Restore(state?["best"]?.AsObject() ?? best.ToJson()),
            Accumulate = step => Accumulate(training, order.At(step), objective),
            Finished = steps =>
            {
                if (validation is not null && steps % settings.ValidateEvery == 0)
                {
                    best.Offer(Validate(validation, objective), steps);
                }

                return settings.Patience > 0 && best.Waited >= settings.Patience;
            },
        }.Run(cancellation);
        best.Use();
        (probe, validationLoss) = (training[0].Prompt, best.Step > 0 ? best.Loss : null);
        if (validation is not null)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{settings.Output}: the weights after step {best.Step} are saved; they have the lowest validation loss, {best.Loss:G4}."));
        }
    }

    public void Save()
    {
        if (lora is null)
        {
            ModelFolder.Save(settings.Output, model, settings.Init);
        }
        else
        {
            AdapterFolder.Save(settings.Output, lora, settings.Init);
            AdapterManifest.Of(settings.Output, settings.Init, probe, new(settings.Data, Sources.Hash(settings.Data)), validationLoss).Write(settings.Output);
        }
    }

    public void Dispose()
    {
        lora?.Dispose();
        model.Dispose();
    }

    private StepResult Accumulate(AnswerTokens[] examples, int[] chosen, Objective objective)
    {
        int answers = chosen.Sum(i => examples[i].Answer.Length);
        Tensor total = zeros(1);
        foreach (int[] some in Pieces(examples, chosen, settings.MicroBatchTokens))
        {
            using DisposeScope scope = NewDisposeScope();
            AnswerBatch batch = AnswerBatch.Of([.. some.Select(i => examples[i])]);
            Tensor loss = objective(AnswerLoss.Logits(model, lora, batch), batch.Targets, new(false, some)) / answers;
            loss.backward();
            total.add_(loss.detach());
        }

        return new StepResult(total, chosen.Sum(i => examples[i].Length));
    }

    private double Validate(AnswerTokens[] examples, Objective objective)
    {
        using IDisposable frozen = no_grad();
        double sum = 0.0;
        foreach (int[] some in Pieces(examples, [.. Enumerable.Range(0, examples.Length)], settings.MicroBatchTokens))
        {
            using DisposeScope scope = NewDisposeScope();
            AnswerBatch batch = AnswerBatch.Of([.. some.Select(i => examples[i])]);
            sum += objective(AnswerLoss.Logits(model, lora, batch), batch.Targets, new(true, some)).item<float>();
        }

        return sum / examples.Sum(example => (long)example.Answer.Length);
    }

    /// <summary>
    /// Divides a list of examples into pieces whose padded size stays within the limit. The examples of a piece have the same <c>keep</c>. The same
    /// list always gives the same pieces.
    /// </summary>
    internal static IEnumerable<int[]> Pieces(AnswerTokens[] examples, int[] chosen, int tokens)
    {
        List<int> piece = new();
        int longest = 0;
        foreach (int i in chosen.OrderBy(i => examples[i].Keep))
        {
            longest = Math.Max(longest, examples[i].Length);
            if (piece.Count > 0 && (longest * (piece.Count + 1) > tokens || examples[i].Keep != examples[piece[0]].Keep))
            {
                yield return [.. piece];
                piece.Clear();
                longest = examples[i].Length;
            }

            piece.Add(i);
        }

        yield return [.. piece];
    }
}
