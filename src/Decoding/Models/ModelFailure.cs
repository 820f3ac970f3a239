using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>Wraps an exception of a model in an error that names the model.</summary>
internal static class ModelFailure
{
    public static EngineException Of(ILanguageModel model, Exception cause) =>
        cause as EngineException ?? new(EngineError.ModelFailure, $"Model '{model.Info.Name}' failed: {cause.Message}", inner: cause);
}
