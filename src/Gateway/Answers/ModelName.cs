using System.Globalization;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Answers;

/// <summary>A request's model field: <c>name</c> or <c>name@alpha</c>, for clients that can send no field of their own.</summary>
internal readonly record struct ModelName(ServedModel Model, double? Alpha)
{
    /// <exception cref="EngineException">UnknownModel; InvalidValue where the suffix is no number.</exception>
    public static ModelName Parse(string text, ServedModels served)
    {
        int at = text.LastIndexOf('@');
        if (at < 0 || served.Contains(text))
        {
            return new ModelName(served.Get(text), null);
        }

        ServedModel model = served.Get(text[..at]);
        return double.TryParse(text.AsSpan(at + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double alpha)
            ? new ModelName(model, alpha)
            : throw new EngineException(
                EngineError.InvalidValue,
                $"model is '{text}'; after @ a number is accepted, as in {model.Name}@1.2.",
                "model");
    }
}
