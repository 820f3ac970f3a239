using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>The most bytes of keys and values that an answer can come to need, all its sequences together.</summary>
/// <param name="Limit">The budget; null where no model has one.</param>
/// <param name="Sum">How the bytes come about.</param>
internal sealed record KeyValueNeed(long Bytes, long? Limit, string Sum)
{
    public bool Fits => Limit is not { } limit || Bytes <= limit;

    /// <summary>Refuses a budget that can never hold it.</summary>
    /// <param name="what">Whose need it is.</param>
    /// <exception cref="EngineException">InvalidValue, with the sum.</exception>
    public void Require(string what)
    {
        if (!Fits)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"{nameof(EngineOptions.KeyValueBytes)} is {Limit}; keys and values of {what} may take {Bytes} bytes: {Sum}. It must be at least that.",
                nameof(EngineOptions.KeyValueBytes));
        }
    }

    /// <param name="sequences">Models, and how long a sequence of theirs can get.</param>
    public static KeyValueNeed Of(IEnumerable<(ModelInfo Model, int Length)> sequences)
    {
        (string Name, KeyValueSize Size, int[] Lengths)[] sizes = sequences
            .Where(sequence => sequence.Model.KeyValues is not null)
            .GroupBy(sequence => sequence.Model, sequence => sequence.Length, ReferenceEqualityComparer.Instance)
            .Select(lengths => (Model: (ModelInfo)lengths.Key!, Lengths: lengths.ToArray()))
            .Select(model => (model.Model.Name, Size: model.Model.KeyValues!, model.Lengths))
            .ToArray();
        return new(
            sizes.Sum(model => model.Size.Bytes(model.Lengths)),
            sizes.Length == 0 ? null : sizes.Min(model => model.Size.Limit),
            string.Join(" + ", sizes.Select(model => $"{model.Size.Describe(model.Lengths)} ('{model.Name}')")));
    }
}
