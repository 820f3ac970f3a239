using System.Globalization;
using System.Text.Json.Nodes;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>The examples that a loss is taken over.</summary>
/// <param name="Validation">Whether they are from the validation split.</param>
/// <param name="Indices">Their indices there, in the order of the rows.</param>
internal sealed record Chosen(bool Validation, IReadOnlyList<int> Indices);

/// <summary>The summed loss of logits rows against targets.</summary>
internal delegate Tensor Objective(Tensor logits, Tensor targets, Chosen examples);

/// <summary>A model that is being tuned on answers, all of it or a low-rank update, whatever the objective.</summary>
internal sealed class Expert : IDisposable
{
    private readonly SftSettings _settings;
    private readonly LlamaModel _model;
    private readonly LoraAdapter? _lora;
    private int[] _probe = [];
    private double? _validationLoss;

    private Expert(SftSettings settings, LlamaModel model, LoraAdapter? lora) => (_settings, _model, _lora) = (settings, model, lora);

    public LlamaConfig Config => _model.Config;

    private ParameterSet Trained => _lora?.Parameters ?? _model.Parameters;

    public static Expert Start(SftSettings settings)
    {
        var model = ModelFolder.Load(settings.Init, trainable: settings.Lora is null);
        return new(settings, model, settings.Lora is { } lora ? new LoraAdapter(model.Config, lora, settings.Seed) : null);
    }

    public AnswerTokens[] Encode(string source) => Encode(source, _settings.Init, _settings.Template, _settings.EndOfAnswer, _model.Config);

    /// <param name="template">How the model of <paramref name="folder"/> sees a conversation.</param>
    public static AnswerTokens[] Encode(string source, string folder, string template, string? endOfAnswer, LlamaConfig config)
    {
        using var tokenizer = Tokenizer.Load(folder);
        var end = endOfAnswer is null
            ? config.EosTokenId ?? throw new TrainingException($"{folder}: config.json has no eos_token_id; set end_of_answer.")
            : tokenizer.EncodeRendered(endOfAnswer) is [var single]
                ? single
                : throw new TrainingException($"end_of_answer is '{endOfAnswer}'; accepted is text that {folder} encodes as one token.");
        return new AnswerTokenizer(PromptFormat.Of(template, folder, tokenizer), end).Encode(Sources.Examples(source), source, config.MaxPositionEmbeddings);
    }

    public void Train(string title, AnswerTokens[] training, AnswerTokens[]? validation, Objective objective, CancellationToken cancellation)
    {
        var order = new EpochOrder([.. training.Select(example => example.Length)], _settings.BatchSize, _settings.Seed);
        using var best = new BestWeights(Trained);
        new TrainingLoop
        {
            Title = $"{title} {Path.GetFileName(_settings.Output)}",
            Output = _settings.Output,
            Optimizer = _settings.Optimizer,
            Parameters = Trained,
            Steps = _settings.Steps > 0 ? _settings.Steps : Math.Max(1, (long)Math.Round(_settings.Epochs * order.StepsPerEpoch)),
            CheckpointEvery = _settings.CheckpointEvery,
            Extra = [("best", best.Values)],
            DataState = () => new JsonObject { ["best"] = best.ToJson() },
            Begin = state => best.Restore(state?["best"]?.AsObject() ?? best.ToJson()),
            Accumulate = step => Accumulate(training, order.At(step), objective),
            Finished = steps =>
            {
                if (validation is not null && steps % _settings.ValidateEvery == 0)
                {
                    best.Offer(Validate(validation, objective), steps);
                }

                return _settings.Patience > 0 && best.Waited >= _settings.Patience;
            },
        }.Run(cancellation);
        best.Use();
        (_probe, _validationLoss) = (training[0].Prompt, best.Step > 0 ? best.Loss : null);
        if (validation is not null)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{_settings.Output}: validation loss {best.Loss:G4} after step {best.Step}, the lowest, is kept."));
        }
    }

    public void Save()
    {
        if (_lora is null)
        {
            ModelFolder.Save(_settings.Output, _model, _settings.Init);
        }
        else
        {
            AdapterFolder.Save(_settings.Output, _lora, _settings.Init);
            AdapterManifest.Of(_settings.Output, _settings.Init, _probe, new(_settings.Data, Sources.Hash(_settings.Data)), _validationLoss).Write(_settings.Output);
        }
    }

    public void Dispose()
    {
        _lora?.Dispose();
        _model.Dispose();
    }

    private StepResult Accumulate(AnswerTokens[] examples, int[] chosen, Objective objective)
    {
        var answers = chosen.Sum(i => examples[i].Answer.Length);
        var total = zeros(1);
        foreach (var some in Pieces(examples, chosen, _settings.MicroBatchTokens))
        {
            using var scope = NewDisposeScope();
            var batch = AnswerBatch.Of([.. some.Select(i => examples[i])]);
            var loss = objective(AnswerLoss.Logits(_model, _lora, batch), batch.Targets, new(false, some)) / answers;
            loss.backward();
            total.add_(loss.detach());
        }

        return new StepResult(total, chosen.Sum(i => examples[i].Length));
    }

    private double Validate(AnswerTokens[] examples, Objective objective)
    {
        using var frozen = no_grad();
        var sum = 0.0;
        foreach (var some in Pieces(examples, [.. Enumerable.Range(0, examples.Length)], _settings.MicroBatchTokens))
        {
            using var scope = NewDisposeScope();
            var batch = AnswerBatch.Of([.. some.Select(i => examples[i])]);
            sum += objective(AnswerLoss.Logits(_model, _lora, batch), batch.Targets, new(true, some)).item<float>();
        }

        return sum / examples.Sum(example => (long)example.Answer.Length);
    }

    /// <summary>Cuts a list of examples into runs of one sort, learned or kept, whose padded size stays within the limit; always the same ones.</summary>
    internal static IEnumerable<int[]> Pieces(AnswerTokens[] examples, int[] chosen, int tokens)
    {
        var piece = new List<int>();
        var longest = 0;
        foreach (var i in chosen.OrderBy(i => examples[i].Keep))
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
