namespace ProxyTune.Decoding.Catalog;

/// <summary>An expert of a served model, with the untuned model that it is compared to.</summary>
/// <param name="Name">How requests name it.</param>
/// <param name="Weight">Multiplied by alpha.</param>
public sealed record ServedExpert(string Name, BoundedWeight Weight)
{
    internal required CatalogMember Tuned { get; init; }

    internal required CatalogMember Anti { get; init; }
}
