namespace ProxyTune.Decoding.Serving;

/// <summary>An expert of a served model, with the model that it is compared to.</summary>
public sealed class ServedExpert
{
    internal ServedExpert(string name, BoundedWeight weight, ServedStream tuned, ServedStream? anti)
    {
        Name = name;
        Weight = weight;
        Tuned = tuned;
        Anti = anti;
    }

    /// <summary>How requests name it.</summary>
    public string Name { get; }

    /// <summary>Multiplied by alpha.</summary>
    public BoundedWeight Weight { get; }

    internal ServedStream Tuned { get; }

    /// <summary>Null for a portable reward.</summary>
    internal ServedStream? Anti { get; }
}
