using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Trains next-token prediction over packed documents, with a fresh model or with an existing checkpoint.</summary>
public static class Pretrain
{
    /// <summary>Runs or resumes. It does nothing if the output of the same settings is finished.</summary>
    /// <exception cref="TrainingException">Settings or files are wrong, or the loss is not a number.</exception>
    /// <exception cref="OperationCanceledException">Interrupted after a checkpoint.</exception>
    public static void Run(PretrainSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        Func<long, string> documents = Sources.Documents(settings.Data);
        using Tokenizer tokenizer = Tokenizer.Load(settings.Tokenizer);
        int end = tokenizer.EncodeRendered(settings.EndOfText) is [var single]
            ? single
            : throw new TrainingException($"end_of_text is '{settings.EndOfText}'; accepted is text that {settings.Tokenizer} encodes as one token.");
        Run(settings, index => tokenizer.EncodeRendered(documents(index)), end, cancellation);
    }

    /// <param name="documents">Returns the token ids of the document at an index; always the same for the same index.</param>
    internal static void Run(PretrainSettings settings, Func<long, int[]> documents, int endOfText, CancellationToken cancellation)
    {
        if (!OutputFolder.Open(settings.Output, "pretrain", SettingsFile.ToNode(settings with { Threads = 0, CheckpointEvery = 0 })))
        {
            return;
        }

        Threading.Use(settings.Threads);
        using LlamaModel model = Start(settings);
        PackedPosition position = PackedPosition.Start with { NextDocument = settings.FirstDocument };
        Prefetch<(int[] Tokens, PackedPosition After)>? batches = null;
        try
        {
            new TrainingLoop
            {
                Title = "pretrain " + Path.GetFileName(settings.Output),
                Output = settings.Output,
                Optimizer = settings.Optimizer,
                Parameters = model.Parameters,
                Steps = settings.Steps,
                CheckpointEvery = settings.CheckpointEvery,
                DataState = () => position.ToJson(),
                Begin = state =>
                {
                    PackedTokens packed = new(documents, endOfText, state is null ? position : position = PackedPosition.FromJson(state));
                    batches = new(() => (packed.Take(settings.TokensPerStep), packed.Position));
                },
                Accumulate = step =>
                {
                    (int[]? tokens, position) = batches!.Take();
                    return Accumulate(model, tokens, settings.ContextAt(step), settings.MicroBatchTokens);
                },
            }.Run(cancellation);
        }
        finally
        {
            batches?.Dispose();
        }

        OutputFolder.Finish(settings.Output, () => ModelFolder.Save(settings.Output, model, settings.Tokenizer));
    }

    private static LlamaModel Start(PretrainSettings settings)
    {
        if (settings.Init is { } folder)
        {
            LlamaModel further = ModelFolder.Load(folder, trainable: true);
            int longest = settings.Contexts.Max(phase => phase.Context);
            return longest <= further.Spec.ContextLength
                ? further
                : throw new TrainingException($"contexts has a phase of {longest}; accepted is up to max_position_embeddings of '{folder}', {further.Spec.ContextLength}.");
        }

        LlamaModel model = new(settings.Model!, trainable: true);
        FreshWeights.Draw(model.Parameters, settings.Model!, settings.Seed);
        return model;
    }

    private static StepResult Accumulate(LlamaModel model, int[] tokens, int context, int microBatchTokens)
    {
        int count = tokens.Length - 1;
        if (tokens.FirstOrDefault(id => id >= model.Spec.VocabularySize) is > 0 and var id)
        {
            throw new TrainingException($"vocab_size is {model.Spec.VocabularySize}, but the tokenizer returned token {id}; accepted are ids below vocab_size.");
        }

        Tensor all = tensor(tokens, ScalarType.Int64);
        (Tensor? inputs, Tensor? targets) = (all.narrow(0, 0, count).view(-1, context), all.narrow(0, 1, count).view(-1, context));
        (int rows, int rowsAtOnce) = (count / context, Math.Max(1, microBatchTokens / context));
        Tensor total = zeros(1);
        for (int row = 0; row < rows; row += rowsAtOnce)
        {
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            int some = Math.Min(rowsAtOnce, rows - row);
            Tensor logits = model.Logits(model.Hidden(inputs.narrow(0, row, some)));
            Tensor loss = nn.functional.cross_entropy(logits, targets.narrow(0, row, some).flatten(), reduction: nn.Reduction.Sum) / count;
            loss.backward();
            total.add_(loss.detach());
        }

        return new StepResult(total, count);
    }
}
